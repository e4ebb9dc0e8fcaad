"""Prompt encoder and mask decoder that learned an object: they answer slices without memory. Imports torch, sam2's modules by copy.

Image encoder, memory attention and memory encoder stay the base model's, and so do the decoder's two convolutions that `forward_image`
applies (conv_s0, conv_s1): an embedding made with the base model serves here as it is. What an adapter holds are differences to the base
model's tensors, by their names there, and the tokens that stand in for a prompt where there is none.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from ..errors import CheckpointError
from .adapter import Adapter
from .learning import Place

_PROMPT_ENCODER, _MASK_DECODER, _OWN = "sam_prompt_encoder.", "sam_mask_decoder.", "promptless."
# Stock gives the decoder two padding points where there is no prompt; these tokens begin as that.
_TOKENS = 2
_PLACE_CODES = 6


class LearnedHeads(nn.Module):
    """Prompt encoder and mask decoder of a model, free to be trained.

    Args:
        model: SAM2Base; copied from, never changed.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.sam_prompt_encoder = copy.deepcopy(model.sam_prompt_encoder)
        self.sam_mask_decoder = copy.deepcopy(model.sam_mask_decoder)
        width = int(model.hidden_dim)
        padding = self.sam_prompt_encoder.not_a_point_embed.weight.detach()
        self.promptless = nn.ParameterDict(
            {
                "tokens": nn.Parameter(padding.expand(_TOKENS, width).clone()),
                "place": nn.Parameter(torch.zeros(_PLACE_CODES, width, device=padding.device)),
            }
        )
        self._base = {name: value.detach().clone() for name, value in self.named_parameters()}

    def forward(
        self,
        top: torch.Tensor,
        fine: list[torch.Tensor],
        points: tuple[torch.Tensor, torch.Tensor] | None,
        sketch: torch.Tensor | None = None,
        places: Sequence[Place | None] = (None,),
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mask logits (B, 1, S/4, S/4), predicted IoU (B, 1) and object logits (B, 1).

        Args:
            top: (B, C, S/16, S/16) features, with what memory or its absence adds.
            fine: the finer levels.
            points: (B, P, 2) coordinates (x, y) in the model's pixels and (B, P) labels; None for no prompt.
            sketch: (B, 1, S/4, S/4) logits of an earlier mask.
            places: where the slices lie, for no prompt; one for all, or one each.
        """
        if points is not None:
            sparse, dense = self.sam_prompt_encoder(points=points, boxes=None, masks=sketch)
        else:
            _, dense = self.sam_prompt_encoder(points=None, boxes=None, masks=sketch)
            tokens = self.promptless["tokens"]
            codes = tokens.new_tensor([_code(place) for place in places])
            sparse = (tokens + (codes @ self.promptless["place"])[:, None]).expand(len(top), -1, -1)
            if dense.shape[0] != len(top):
                dense = dense.expand(len(top), -1, -1, -1)
        masks, ious, _, objects = self.sam_mask_decoder.predict_masks(
            image_embeddings=top,
            image_pe=self.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            repeat_image=False,
            high_res_features=fine,
        )
        return masks[:, :1], ious[:, :1], objects  # who knows the object needs no candidates

    def trainable(self, trained: str) -> list[nn.Parameter]:
        """The parameters that learning changes; all others are frozen."""
        chosen = []
        for name, parameter in self.named_parameters():
            free = name.startswith(_OWN) or (name.startswith(_PROMPT_ENCODER) and ".mask_downscaling." not in name)
            if trained == "decoder" and name.startswith(_MASK_DECODER):
                free = ".conv_s" not in name
            parameter.requires_grad_(free)
            if free:
                chosen.append(parameter)
        return chosen

    def differences(self) -> dict[str, np.ndarray]:
        """What differs from the base model, as float16."""
        found = {}
        with torch.no_grad():
            for name, value in self.named_parameters():
                difference = (value.float() - self._base[name].float()).to(torch.float16)
                if bool(difference.any()):
                    found[name] = difference.cpu().numpy()
        return found

    def take(self, adapter: Adapter) -> None:
        """Become what an adapter holds.

        Raises:
            CheckpointError: if its tensors do not fit the model.
        """
        self._require_fitting(adapter.tensors)
        with torch.no_grad():
            for name, value in self.named_parameters():
                value.copy_(self._base[name])
                if name in adapter.tensors:
                    value.add_(torch.from_numpy(adapter.tensors[name].astype(np.float32)).to(value.device))
        self.requires_grad_(False)
        self.eval()

    def _require_fitting(self, tensors: Mapping[str, np.ndarray]) -> None:
        own = dict(self.named_parameters())
        for name, array in tensors.items():
            if name not in own or ".conv_s" in name:
                raise CheckpointError(
                    f"The adapter holds a tensor that does not belong to it: '{name[:60]}'. It was made by another program."
                )
            if tuple(own[name].shape) != array.shape:
                raise CheckpointError(
                    f"The adapter's tensor '{name}' has shape {array.shape}, expected {tuple(own[name].shape)}: it is of another model."
                )


def _code(place: Place | None) -> list[float]:
    """Numbers that tell a place; all 0 where it is not known."""
    if place is None or place.along is None:
        return [0.0] * _PLACE_CODES
    along = min(max(float(place.along), -0.5), 1.5)
    return [1.0, 2 * along - 1, *_waves(along)]


def _waves(along: float) -> Iterator[float]:
    for turns in (1, 2):
        yield math.sin(math.pi * turns * along)
        yield math.cos(math.pi * turns * along)
