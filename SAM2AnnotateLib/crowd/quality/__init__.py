"""How good answers and people are, and which slices are in doubt: numbers and words. Imports answers, consensus and numpy."""

from .agreement import Agreement, agreements
from .alpha import krippendorff_alpha
from .doubts import SliceDoubt, doubts
from .missing import Finding, missing
from .people import PersonReport, people_report

__all__ = [
    "Agreement", "Finding", "PersonReport", "SliceDoubt", "agreements", "doubts", "krippendorff_alpha", "missing",
    "people_report",
]  # fmt: skip
