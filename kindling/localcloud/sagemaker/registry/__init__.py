"""The model registry: groups, and the packages that are their versions."""
