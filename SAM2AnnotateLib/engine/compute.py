"""Where and how a model computes, and what becomes of its faults. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch

from ..errors import EngineError


@dataclass(frozen=True)
class Compute:
    """Where and how to compute.

    Args:
        device: torch device name.
        bf16: autocast to bfloat16.
        half_embeddings: keep embeddings in 16 bit; False keeps float32, which repeats the stock model exactly.
    """

    device: str
    bf16: bool
    half_embeddings: bool


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
    try:
        with gradients(), torch.autocast(device, torch.bfloat16, enabled=compute.bf16):
            yield
    except (torch.OutOfMemoryError, MemoryError) as exc:
        raise EngineError(
            f"Out of memory on {compute.device} with model {model} at {image_size} pixels.",
            "Close other programs, choose a smaller image size or model, or compute on the CPU (--device cpu).",
        ) from exc
    except RuntimeError as exc:
        raise EngineError(f"The model {model} failed on {compute.device}: {str(exc).splitlines()[0]}") from exc
