"""Systems Manager's Run Command, as the stand-in answers it; the rest of SSM is moto's."""
