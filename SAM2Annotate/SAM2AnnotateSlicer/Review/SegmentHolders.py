"""SegmentHolders: which object stands for a segment, so that panel and console share one. Imports the standard library only."""

from __future__ import annotations

import weakref


class SegmentHolders:
    """Remembers one holder a segment, as long as somebody else keeps it; the latest one counts."""

    def __init__(self) -> None:
        self._held: weakref.WeakSet = weakref.WeakSet()

    def take(self, holder) -> None:
        """From now on `holder` stands for the segment that it has as its attribute `segment`, in place of an earlier one."""
        for other in [one for one in self._held if one.segment is holder.segment]:
            self._held.discard(other)
        self._held.add(holder)

    def of(self, segment):
        """Who stands for a vtkSegment; None if nobody does."""
        return next((one for one in self._held if one.segment is segment), None)
