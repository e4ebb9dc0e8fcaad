"""What a prediction on one slice costs. Imports torch, and what learning from a few slices measures by, too."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..engine.sam2_learning import mask_terms


def slice_loss(
    logits: torch.Tensor, iou: torch.Tensor, object_logits: torch.Tensor, masks: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Binary cross entropy and soft Dice at the decoder's resolution, error of the predicted IoU, and presence of the object.

    Args:
        logits: (B, 1, S/4, S/4) mask logits.
        iou: (B, 1) predicted IoU.
        object_logits: (B, 1) logit that the object is on the slice.
        masks: (B, S, S) bool truth.

    Returns:
        The mean loss, and (B,) hard Dice of the slices that hold the object (NaN where it is absent).
    """
    truth = F.interpolate(masks[:, None].float(), size=logits.shape[-2:], mode="area")
    present = masks.flatten(1).any(dim=1)
    terms = mask_terms(logits, truth)
    hard_dice = torch.where(present, 2 * terms.both / (terms.hard + terms.hard_truth).clamp(min=1), torch.nan)
    per_slice = (
        2.0 * terms.cross_entropy
        + present * (terms.dice_loss + 0.3 * (iou[:, 0].float() - terms.true_iou).abs())
        + 0.1 * F.binary_cross_entropy_with_logits(object_logits[:, 0].float(), present.float(), reduction="none")
    )
    return per_slice.mean(), hard_dice
