"""GrayWindow: the gray mapping that the model is fed with, and the views show. Imports slicer's nodes by duck typing, and intensity.

One mapping for a whole volume. An automatic one looks into the first object's box, and is kept for the volume then.
"""

from __future__ import annotations

import numpy as np

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.intensity import IntensityMapping, choose_mapping

from .SceneBridge import volumeFromNode, voxelsStamp

AS_SHOWN = "shown"
AUTO = "auto"


class GrayWindow:
    """Chooses mappings and remembers them."""

    def __init__(self) -> None:
        self._mappings: dict[tuple, IntensityMapping] = {}

    def mapping(self, volumeNode, window: str, boxValues: np.ndarray | None = None, settle: bool = False) -> IntensityMapping:
        """The mapping of a volume.

        Args:
            window: as `choose_mapping` knows it, or `AS_SHOWN` for the window that the views show.
            boxValues: voxels in the object's box, for ``auto``.
            settle: whether ``auto`` may look at `boxValues` although it has chosen before; for the first object of a volume.

        Raises:
            PromptError: for `AS_SHOWN`, if the volume is not shown.
        """
        if window == AS_SHOWN:
            displayNode = volumeNode.GetDisplayNode()
            if displayNode is None:
                raise PromptError("The volume is not shown anywhere, so there is no window to take. Choose another gray window.")
            half, level = max(displayNode.GetWindow(), 1e-6) / 2, displayNode.GetLevel()
            return IntensityMapping(level - half, level + half, AS_SHOWN, "the window of the views")
        # An automatic window is kept for the volume, whatever becomes of its voxels: slices of one object must be fed alike.
        key = (volumeNode.GetID(), None if window == AUTO else voxelsStamp(volumeNode), window)
        if key not in self._mappings or settle:
            self._mappings[key] = choose_mapping(volumeFromNode(volumeNode), window, boxValues)
        return self._mappings[key]

    def settle(self, volumeNode, stored: dict | None, anew: bool = False) -> None:
        """Take the automatic window that an object was begun with, as it was stored, unless the volume has one.

        Args:
            anew: whether it is taken all the same.
        """
        key = (volumeNode.GetID(), None, AUTO)
        if stored and stored.get("name") not in (None, AS_SHOWN) and (anew or key not in self._mappings):
            self._mappings[key] = IntensityMapping(**stored)

    def forget(self) -> None:
        """The scene was closed."""
        self._mappings.clear()


def show(volumeNode, mapping: IntensityMapping) -> None:
    """Give the views a mapping's window and level."""
    displayNode = volumeNode.GetDisplayNode()
    if displayNode is not None:
        displayNode.SetAutoWindowLevel(False)
        displayNode.SetWindowLevel(mapping.upper - mapping.lower, (mapping.upper + mapping.lower) / 2)


def isShown(volumeNode, mapping: IntensityMapping) -> bool:
    """Whether the views show a mapping; so it is if they do not show the volume at all."""
    displayNode = volumeNode.GetDisplayNode()
    if displayNode is None:
        return True
    wanted = (mapping.upper - mapping.lower, (mapping.upper + mapping.lower) / 2)
    return bool(np.allclose((displayNode.GetWindow(), displayNode.GetLevel()), wanted, rtol=1e-3, atol=1e-3))
