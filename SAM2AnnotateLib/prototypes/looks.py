"""Further looks at a picture, so that what is learned holds on other volumes: other crops, other grays. Imports numpy, geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry import Box2D

_LEAST_SCALE, _MOST_SCALE = 0.8, 1.2
_MOST_SHIFT = 0.1
_LEAST_GAMMA, _MOST_GAMMA = 0.7, 1.4
_LEAST_GAIN, _MOST_GAIN = 0.9, 1.1


@dataclass(frozen=True)
class Look:
    """How a picture is looked at.

    Args:
        scale: side of the crop, against the plain one.
        shift_rc: how far the crop is moved, in sides of it.
        gamma, gain: of the gray.
    """

    scale: float = 1.0
    shift_rc: tuple[float, float] = (0.0, 0.0)
    gamma: float = 1.0
    gain: float = 1.0

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Look:
        """Another look."""
        low, high = np.log(_LEAST_GAMMA), np.log(_MOST_GAMMA)
        shift = rng.uniform(-_MOST_SHIFT, _MOST_SHIFT, 2)
        return cls(
            float(rng.uniform(_LEAST_SCALE, _MOST_SCALE)),
            (float(shift[0]), float(shift[1])),
            float(np.exp(rng.uniform(low, high))),
            float(rng.uniform(_LEAST_GAIN, _MOST_GAIN)),
        )

    def crop(self, plain: Box2D) -> Box2D:
        """The part of the slice."""
        ranges = []
        for start, count, shift in zip((plain.row_start, plain.col_start), plain.shape_rc, self.shift_rc, strict=True):
            side = max(2, round(count * self.scale))
            first = round(start + (count - side) / 2 + shift * count)
            ranges.append((first, first + side))
        return Box2D(*ranges[0], *ranges[1])

    def gray(self, picture: np.ndarray) -> np.ndarray:
        """The picture's gray (uint8)."""
        if self.gamma == 1.0 and self.gain == 1.0:
            return picture
        table = 255 * np.clip(self.gain * (np.arange(256) / 255.0) ** self.gamma, 0, 1)
        return np.rint(table).astype(np.uint8)[picture]
