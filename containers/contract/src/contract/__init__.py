"""The SageMaker container contract: what every training and serving image owes the service.

Submodules are imported by name, so that a reader of `contract.specification` (a Lambda, the CDK app) needs pydantic and
nothing of the HTTP server or of torch.
"""
