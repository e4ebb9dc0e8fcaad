"""What a prediction on one slice costs. Imports torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

# SAM 2 replaces the mask by -1024 where it says "no object"; without a bound one such slice would drown the batch.
_LOGIT_BOUND = 20.0


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
    logits = logits.float().clamp(-_LOGIT_BOUND, _LOGIT_BOUND)
    truth = F.interpolate(masks[:, None].float(), size=logits.shape[-2:], mode="area")
    present = masks.flatten(1).any(dim=1)
    probability = logits.sigmoid()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(1, 2, 3))
    overlap = 2 * (probability * truth).sum(dim=(1, 2, 3))
    dice = 1 - (overlap + 1) / (probability.sum(dim=(1, 2, 3)) + truth.sum(dim=(1, 2, 3)) + 1)
    with torch.no_grad():
        hard, hard_truth = logits > 0, truth > 0.5
        both, either = (hard & hard_truth).sum(dim=(1, 2, 3)), (hard | hard_truth).sum(dim=(1, 2, 3))
        true_iou = both / either.clamp(min=1)
        hard_dice = torch.where(present, 2 * both / (hard.sum(dim=(1, 2, 3)) + hard_truth.sum(dim=(1, 2, 3))).clamp(min=1), torch.nan)
    per_slice = (
        2.0 * cross_entropy
        + present * (dice + 0.3 * (iou[:, 0].float() - true_iou).abs())
        + 0.1 * F.binary_cross_entropy_with_logits(object_logits[:, 0].float(), present.float(), reduction="none")
    )
    return per_slice.mean(), hard_dice
