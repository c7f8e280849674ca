"""CloudFormation: stacks whose resources are made by the stand-in's own calls.

moto has a CloudFormation, too, but it makes resources behind the back of the handlers here, so
that a stack could hold what EC2 refuses.
"""
