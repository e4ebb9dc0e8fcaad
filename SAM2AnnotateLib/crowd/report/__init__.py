"""The report of a crowd project: one page that stands alone, and tables as CSV; pseudonyms only. Imports outcome and the rooms below."""

from .report import REPORT_FILE, write_report

__all__ = ["REPORT_FILE", "write_report"]
