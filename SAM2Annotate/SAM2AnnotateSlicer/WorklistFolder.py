"""The worklist of a folder, for scripts: it takes no Slicer. Imports Worklist."""

from __future__ import annotations

from .Worklist.WorklistFolder import CaseState, WorklistCase, WorklistFolder

__all__ = ["CaseState", "WorklistCase", "WorklistFolder"]
