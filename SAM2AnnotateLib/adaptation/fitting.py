"""Whether what was learned fits the volume that it is used on, as far as its card tells. Imports engine, geometry and intensity."""

from __future__ import annotations

from ..engine import AdapterCard
from ..geometry import SliceStack
from ..intensity import IntensityMapping


def misfits(card: AdapterCard, stack: SliceStack, mapping: IntensityMapping) -> tuple[str, ...]:
    """What differs between the volumes that an object was learned on and this one, a sentence each; nothing where it fits.

    An adapter is used all the same: its words are for the person who chose it. Gray windows are compared by name, as MR has bounds of its
    own in each volume; bounds that somebody typed fit everything.

    Args:
        card: of the adapter.
        stack: how this volume is sliced.
        mapping: its gray window.
    """
    named = f"'{card.object_name}'" if card.object_name else "an object"
    found = []
    if "explicit" not in (card.window_name, mapping.name) and card.window_name != mapping.name:
        found.append(
            f"What is in use was learned of {named} in the gray window '{card.window_name}'; this volume is shown in '{mapping.name}'. "
            "Check that it is the right adapter for this kind of image, or name the window (--window)."
        )
    if card.plane != stack.plane:
        found.append(
            f"What is in use was learned of {named} on {card.plane} slices; this volume is cut into {stack.plane} ones. "
            "Use it along the axis that it was learned on (--axis)."
        )
    return tuple(found)
