"""RunInstances in stages: read the request, check it, make the instances."""
