"""Workflow: a way to get from a volume to an object's masks, as a study names it. Imports errors and propagation's region of interest."""

from __future__ import annotations

from dataclasses import dataclass

from ..annotator import CORRECTIONS
from ..errors import InputError
from ..propagation import RegionPolicy

METHODS = ("propagation", "slice_boxes", "box_tracking", "interpolation")
PROMPTS = ("box", "dot", "clicks", "mask", "box+clicks", "contours")
ORDERS = ("outward", "doubtful")


@dataclass(frozen=True)
class Workflow:
    """How the simulated annotator works on an object.

    Args:
        name: for tables and folders.
        method: ``propagation`` (one prompted slice, SAM 2's memory carries the mask to both ends), ``slice_boxes`` (a box on every slice,
            no memory; study C), ``box_tracking`` (a box on the center slice; on every next slice the box of the last mask, grown by
            `margin_mm`; no memory) or ``interpolation`` (every `every`-th slice is drawn by hand, those between are interpolated).
        prompt: on the center slice, for ``propagation``: ``box`` or ``dot`` with the study's jitter, up to `clicks` ``clicks``, the
            ground-truth ``mask``, ``box+clicks``, or ``contours`` (study E: a box around all contours, a point in each, one beside them).
        roi: what the model sees of a slice: ``auto``, ``full`` (stock SAM 2), or a margin in mm, see `RegionPolicy`.
        order: in which a person looks at the slices: ``outward`` from the center to each end, as they are computed, or ``doubtful``, the
            most doubtful first, as the panel's queue has them. For ``propagation``; the others go outward.
        together: slices whose expected DSC is this or more are accepted together and unseen before the review begins, as the panel offers
            it; 0 accepts none so. For ``propagation``.
        clicks: most clicks, one a round.
        margin_mm: for ``box_tracking``.
        every: for ``interpolation``.
        corrections: what a correction does to other slices: ``carried``, our rule, or ``stock``, see `Annotator`. From the center outward
            both are the same, as then each correction is the outermost known slice.

    Raises:
        InputError: if a choice is none of these.
    """

    name: str
    method: str = "propagation"
    prompt: str = "box"
    roi: str = "auto"
    order: str = "outward"
    together: float = 0.0
    clicks: int = 5
    margin_mm: float = 1.0
    every: int = 5
    corrections: str = "carried"

    def __post_init__(self) -> None:
        choices = ("method", self.method, METHODS), ("prompt", self.prompt, PROMPTS), ("order", self.order, ORDERS)
        for what, value, known in (*choices, ("corrections", self.corrections, CORRECTIONS)):
            if value not in known:
                raise InputError(f"Unknown {what} '{value}' of the workflow '{self.name}': expected one of {', '.join(known)}.")
        RegionPolicy.parse(self.roi)
        if not 0 <= self.together <= 1:
            raise InputError(f"Workflow '{self.name}': expected a DSC of 0 to 1 for 'together', got {self.together}.")
        if not 1 <= self.clicks <= 100 or self.every < 2 or not 0 <= self.margin_mm < 1000:
            raise InputError(
                f"Workflow '{self.name}': expected 1 to 100 clicks, every 2nd slice or fewer, and a margin of 0 mm or more; got "
                f"{self.clicks}, {self.every} and {self.margin_mm}."
            )
