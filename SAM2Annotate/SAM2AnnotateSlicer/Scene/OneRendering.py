"""OneRendering: many changes of the scene, one rendering of the views. Imports slicer and Turns.

Slicer's views render soon after the first change, and then again in the midst of every further one that comes later than a frame. With many
segments each of these takes most of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import slicer

from ..Turns import inTurnOnce

_blocks = 0
_paused = False  # by us


@contextmanager
def oneRendering() -> Iterator[None]:
    """Render no view in this block, and each at most once after it, whatever is raised in it. Blocks may lie within each other.

    The rendering has a turn of the event loop of its own, so that a step and what it costs to draw do not add up to one long turn. Within
    the block no dialog may be open: the views would stand still behind it.

    Nothing is held back while the scene is closed or imported: that goes on beyond the block, may open dialogs and bring views, which
    would be resumed without having been paused.
    """
    global _blocks, _paused
    if not _paused and slicer.app.layoutManager() is not None and not slicer.mrmlScene.IsBatchProcessing():
        slicer.app.pauseRender()
        _paused = True
    _blocks += 1
    try:
        yield
    finally:
        _blocks -= 1
        if _paused and not _blocks:
            inTurnOnce(_resume)


def _resume() -> None:
    global _paused
    if _paused and not _blocks:  # within a block only if somebody lets the event loop run in it: then the block's end sees to it
        _paused = False
        slicer.app.resumeRender()
