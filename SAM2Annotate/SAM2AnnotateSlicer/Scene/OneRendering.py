"""OneRendering: many changes of the scene, one rendering of the views. Imports slicer and Turns.

Slicer's views render soon after the first change, and then again in the midst of every further one that comes later than a frame. With many
segments each of these takes most of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import slicer

from ..Turns import inTurn


@contextmanager
def oneRendering() -> Iterator[None]:
    """Render no view in this block, and each at most once after it, whatever is raised in it. Blocks may lie within each other.

    The rendering has a turn of the event loop of its own, so that a step and what it costs to draw do not add up to one long turn. Within
    the block no dialog may be open: the views would stand still behind it.
    """
    if slicer.app.layoutManager() is None:  # there is nothing to be rendered
        yield
        return
    slicer.app.pauseRender()
    try:
        yield
    finally:
        inTurn(slicer.app.resumeRender)
