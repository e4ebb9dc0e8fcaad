"""Stock SAM 2, driven as its documentation and the peers do. Imports sam2, torch, Pillow."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from PIL import Image

from ..engine.models.model_configs import ARCHITECTURES, model_config
from ..geometry import Box2D

_PREDICTOR = "sam2.sam2_video_predictor.SAM2VideoPredictor"


class StockPredictor:
    """`SAM2VideoPredictor` on a folder of frames; a fresh state for each direction, as study A has it.

    Args:
        architecture: a name of `ARCHITECTURES`.
        image_size: pixels per side.
        weights: tensors by name.
        device: torch device name.
    """

    def __init__(self, architecture: str, image_size: int, weights: dict[str, torch.Tensor], device: str = "cpu"):
        self.predictor = instantiate(model_config(ARCHITECTURES[architecture], image_size, target=_PREDICTOR)).eval()
        self.predictor.load_state_dict(weights)
        self.predictor.to(device)

    def open(self, folder: Path) -> dict:
        """`init_state`: all frames of the folder, in memory."""
        with _quiet():
            return self.predictor.init_state(str(folder))

    def from_box(self, states: tuple[dict, dict], position: int, box: Box2D, most: int | None = None) -> dict[int, np.ndarray]:
        """Masks by position after one box, both directions, each in its own state."""
        corners = np.array([box.col_start, box.row_start, box.col_stop, box.row_stop], dtype=np.float32)
        return self._both_ways(states, position, lambda state: self.predictor.add_new_points_or_box(state, position, 1, box=corners), most)

    def from_points(self, states: tuple[dict, dict], position: int, points: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
        """Masks by position after clicks; points (n, 2) as (x, y), labels 1 or 0."""
        prompt = lambda state: self.predictor.add_new_points_or_box(state, position, 1, points=points, labels=labels)  # noqa: E731
        return self._both_ways(states, position, prompt, None)

    def from_mask(self, states: tuple[dict, dict], position: int, mask: np.ndarray, most: int | None = None) -> dict[int, np.ndarray]:
        """Masks by position after one mask."""
        return self._both_ways(states, position, lambda state: self.predictor.add_new_mask(state, position, 1, mask), most)

    def _both_ways(self, states, position, prompt, most) -> dict[int, np.ndarray]:
        masks = {}
        with _quiet():
            for state, reverse in zip(states, (False, True), strict=True):
                self.predictor.reset_state(state)
                prompt(state)
                for found, _, logits in self.predictor.propagate_in_video(
                    state, start_frame_idx=position, max_frame_num_to_track=most, reverse=reverse
                ):
                    masks[found] = logits[0, 0].cpu().numpy() > 0
        return masks


def write_frames(folder: Path, frames: np.ndarray, lossless: bool) -> None:
    """Write uint8 frames (slice, row, col) as the numbered ``.jpg`` files that `init_state` wants.

    Args:
        lossless: PNG data under the name ``.jpg``, which the reader opens by content: for comparing masks bit by bit.
    """
    for number, frame in enumerate(frames):
        with open(folder / f"{number:05d}.jpg", "wb") as stream:
            Image.fromarray(frame).save(stream, format="PNG" if lossless else "JPEG", **({} if lossless else {"quality": 95}))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Stock prints progress bars to standard error and cannot be told not to."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield
