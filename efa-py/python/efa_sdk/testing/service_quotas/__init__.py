"""Service Quotas, of EC2's vCPU quotas; the rest is moto's."""
