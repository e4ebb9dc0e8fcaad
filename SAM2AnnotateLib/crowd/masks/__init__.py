"""From boxes to masks: by slice as study C, or through the model's memory; masks of several people. Imports consensus, propagation, engine.

Models come behind the engine's protocol: nothing here imports torch.
"""

from .by_people import masks_by_people
from .by_slice import mask_of_boxes, masks_by_slice
from .masked_slice import MaskedSlice
from .several import JoinedMask, joined_mask, majority_mask, pairwise_dice
from .through_memory import masks_through_memory, presence_on_all

__all__ = [
    "JoinedMask", "MaskedSlice", "joined_mask", "majority_mask", "mask_of_boxes",
    "masks_by_people", "masks_by_slice", "masks_through_memory",
    "pairwise_dice", "presence_on_all",
]  # fmt: skip
