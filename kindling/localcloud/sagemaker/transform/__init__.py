"""Batch transform: what a request asks for, records and batches of them, and the run from objects to .out objects."""
