"""The logical units that the stacks wire together, one construct per file."""
