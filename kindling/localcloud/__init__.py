"""The embedded cloud: moto, and what moto lacks, one seam per file."""
