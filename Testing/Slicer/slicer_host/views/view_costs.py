"""What slice views cost: renderings and jumps are counted always, and paid for with time when that is switched on. Imports slicer-core.

The figures are those of a real Slicer 5.12 with software OpenGL on two cores (see the README of this folder). Tests count; the benchmark of
the panel pays, so that a turn of the event loop takes there what it takes in the application.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import slicer


@dataclass(frozen=True)
class Costs:
    """Seconds.

    Args:
        jump: of a slice node that shows another slice: its pipelines, besides the rendering.
        rendering: of one slice view with one segment.
        segment: of each further visible segment, in each rendering of a view.
        strip: of the review strip painted from end to end through PythonQt.
    """

    jump: float = 0.0
    rendering: float = 0.0
    segment: float = 0.0
    strip: float = 0.0


REAL = Costs(jump=0.041, rendering=0.020, segment=0.015, strip=0.020)
"""One rendering of the three views with 15 segments takes 0.7 s so."""


@dataclass
class Counts:
    """How often it happened.

    Args:
        renderings: of single views, by the view's name.
        jumps: to another slice, by the view's name.
    """

    renderings: dict[str, int]
    jumps: dict[str, int]


costs = Costs()
_paid = 0.0
_counts = Counts({}, {})


def switch(to: Costs) -> None:
    """Pay these costs from now on; `Costs()` makes all free again."""
    global costs
    costs = to


def counted() -> Counts:
    """What happened since the last call."""
    global _counts
    counts, _counts = _counts, Counts({}, {})
    return counts


def jumped(name: str) -> None:
    """A view was moved to another slice."""
    _counts.jumps[name] = _counts.jumps.get(name, 0) + 1
    pay(costs.jump)


def rendered(name: str) -> None:
    """A view was rendered."""
    _counts.renderings[name] = _counts.renderings.get(name, 0) + 1
    if costs.rendering or costs.segment:
        pay(costs.rendering + costs.segment * max(0, _visible_segments() - 1))


def pay(seconds: float) -> None:
    """Let time pass as if something were being computed."""
    global _paid
    if seconds > 0:
        _paid += seconds
        time.sleep(seconds)


def paid() -> float:
    """Seconds that were paid until now."""
    return _paid


def _visible_segments() -> int:
    count = 0
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        display = node.GetDisplayNode()
        if display is not None and display.GetVisibility():
            count += sum(display.GetSegmentVisibility(segment) for segment in node.GetSegmentation().GetSegmentIDs())
    return count
