"""From a training state to the weights file that ships. Imports torch and safetensors."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from ..atomic_files import replaced_atomically


def write_weights(state_file: Path, weights_file: Path) -> None:
    """Write the averaged weights of a training state as 16-bit safetensors (weights only, no code).

    Raises:
        OutputError: if the file cannot be written.
    """
    state = torch.load(state_file, weights_only=True)
    tensors = {name: value.to(torch.float16).contiguous() for name, value in state["average"].items()}
    metadata = {"architecture": "compact", "license": "Apache-2.0", "training_steps": str(state["step"])}
    with replaced_atomically(weights_file) as partial:
        save_file(tensors, partial, metadata=metadata)
