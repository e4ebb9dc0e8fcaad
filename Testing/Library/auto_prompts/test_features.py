"""Feature maps of any engine's embedding on one grid, and how alike objects are by them."""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.auto_prompts.features import feature_maps, resampled
from SAM2AnnotateLib.auto_prompts.likeness import Likeness, share_on_grid
from SAM2AnnotateLib.engine import Embedding
from SAM2AnnotateLib.errors import InputError


@pytest.mark.parametrize("shape", [(3, 3), (17, 40), (64, 64), (200, 90)])
def test_resampling_keeps_a_constant_and_the_place(shape):
    assert resampled(np.full((2, *shape), 3.0, dtype=np.float32), (64, 64)) == pytest.approx(3.0)
    ramp = np.broadcast_to((np.arange(shape[1]) + 0.5) / shape[1], (1, *shape)).astype(np.float32)
    middle = resampled(ramp, (64, 64))[0, 32]
    inner = slice(64 // shape[1] + 2, -(64 // shape[1]) - 2)
    assert middle[inner] == pytest.approx(((np.arange(64) + 0.5) / 64)[inner], abs=0.01)


def test_all_levels_are_laid_on_each_other():
    levels = (np.ones((2, 32, 32), dtype=np.float16), np.full((5, 8, 8), 2, dtype=np.float16))
    maps = feature_maps(Embedding(levels))
    assert maps.shape == (7, 64, 64) and maps.dtype == np.float32
    assert maps[:2] == pytest.approx(1) and maps[2:] == pytest.approx(2)


def test_a_frame_is_one_map_of_gray():
    assert feature_maps(Embedding((np.full((20, 30), 51, dtype=np.uint8),))) == pytest.approx(np.full((1, 64, 64), 0.2))


def test_an_embedding_without_maps_is_refused():
    with pytest.raises(InputError, match="no feature maps"):
        feature_maps(Embedding((np.zeros(4),)))


def _picture(rng, kind):
    """Six channels; the object in the middle has a channel of its own, by kind."""
    maps = rng.normal(0, 0.2, (6, 64, 64)).astype(np.float32)
    mask = np.zeros((64, 64), dtype=bool)
    row, col = rng.integers(20, 30, 2)
    mask[row : row + 16, col : col + 20] = True
    maps[kind][mask] += 3
    return maps, share_on_grid(mask)


def test_the_same_kind_of_object_is_alike_another_kind_is_not():
    rng = np.random.default_rng(0)
    known = [_picture(rng, 2) for _ in range(6)]
    likeness = Likeness([maps for maps, _ in known], [share for _, share in known], [number // 2 for number in range(6)])
    same = likeness.doubt(likeness.of(*_picture(rng, 2)))
    other = likeness.doubt(likeness.of(*_picture(rng, 4)))
    assert same < 0.3 < 0.5 < other


def test_nothing_is_like_nothing():
    rng = np.random.default_rng(0)
    maps, share = _picture(rng, 1)
    likeness = Likeness([maps], [share], ["alone"])
    assert likeness.doubt(likeness.of(maps, share)) == 0
    assert likeness.doubt(likeness.of(maps, np.zeros((64, 64)))) == 1
