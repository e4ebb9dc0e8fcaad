"""Where and how a model computes, and what becomes of its faults. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from ..errors import EngineError


@dataclass(frozen=True)
class Compute:
    """Where and how to compute.

    Args:
        device: torch device name.
        bf16: autocast to bfloat16.
        half_embeddings: keep embeddings in 16 bit; False keeps float32, which repeats the stock model exactly.
        threads: of the processor, for each operation; None leaves it to torch. It changes time, and last bits only.
    """

    device: str
    bf16: bool
    half_embeddings: bool
    threads: int | None = field(default=None, repr=False, compare=False)

    def describe(self, model: str, weights_sha256: str, image_size: int) -> dict[str, Any]:
        """A model that computes so, for the record."""
        return {
            "model": model,
            "weights_sha256": weights_sha256,
            "image_size": image_size,
            "device": self.device,
            "precision": "bf16" if self.bf16 else "fp32",
            "embeddings": "float16" if self.half_embeddings else "float32",
        }


@contextmanager
def computing(compute: Compute, model: str, image_size: int, gradients: Callable[[], AbstractContextManager]) -> Iterator[None]:
    """Run the model inside.

    Args:
        compute: where and how.
        model: its name, for messages.
        image_size: pixels per side, for messages.
        gradients: `torch.inference_mode` or another that says what becomes of gradients.

    Raises:
        EngineError: out of memory, or the model failed.
    """
    device = torch.device(compute.device).type
    if compute.threads is not None and torch.get_num_threads() != compute.threads:  # setting it empties caches of torch
        torch.set_num_threads(compute.threads)
    attention = _AttentionByProducts() if compute.bf16 and device == "cpu" else nullcontext()
    try:
        with gradients(), attention, torch.autocast(device, torch.bfloat16, enabled=compute.bf16):
            yield
    except (torch.OutOfMemoryError, MemoryError) as exc:
        raise EngineError(
            f"Out of memory on {compute.device} with model {model} at {image_size} pixels.",
            "Close other programs, choose a smaller image size or model, or compute on the CPU (--device cpu).",
        ) from exc
    except RuntimeError as exc:
        raise EngineError(f"The model {model} failed on {compute.device}: {str(exc).splitlines()[0]}") from exc


class _AttentionByProducts(TorchFunctionMode):
    """Inside, attention is two matrix products in bfloat16: torch's fused kernel for processors computes bfloat16 as slowly as float32.

    It holds the whole matrix of weights: 15 MB at 512 pixels and seven memories, 240 MB at 1024.
    """

    def __torch_function__(self, function: Any, types: Any, arguments: tuple = (), options: dict[str, Any] | None = None) -> Any:
        if function is F.scaled_dot_product_attention:
            return _attention(*arguments, **(options or {}))
        return function(*arguments, **(options or {}))


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **more: Any,
) -> torch.Tensor:
    """By products where nothing else is asked for, as it never is by the models here; else as torch has it."""
    if attn_mask is not None or dropout_p or is_causal or any(more.values()):
        return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **more)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    weights = torch.softmax((query * scale) @ key.transpose(-2, -1), dim=-1)
    return weights @ value
