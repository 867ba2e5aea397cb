"""The deployment units of Kindling's CDK app."""
