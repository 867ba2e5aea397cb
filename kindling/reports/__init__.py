"""The page that a person looks at after a run: one HTML file that needs nothing else."""

from kindling.reports.page import Page, write_report

__all__ = ["Page", "write_report"]
