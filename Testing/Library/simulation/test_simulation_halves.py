"""Two halves that share the seed slice."""

from __future__ import annotations

import pytest

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.propagation.passes import plan_passes
from SAM2AnnotateLib.simulation.halves import Halves, halves_at


def test_both_halves_begin_with_the_seed_and_the_backward_one_is_reversed():
    assert halves_at(Extent(3, 8), 5) == Halves(backward=(5, 4, 3), forward=(5, 6, 7, 8))


def test_a_seed_at_an_end_leaves_one_half_alone():
    assert halves_at(Extent(3, 5), 3) == Halves((3,), (3, 4, 5))
    assert halves_at(Extent(3, 5), 5) == Halves((5, 4, 3), (5,))
    assert halves_at(Extent(3, 3), 3) == Halves((3,), (3,))


@pytest.mark.parametrize("seed", range(3, 9))
def test_propagation_from_one_prompt_runs_exactly_these_halves(seed):
    """From the seed, each with a memory of its own that knows the seed alone; a half of the seed alone needs no run."""
    extent = Extent(3, 8)
    halves = halves_at(extent, seed)
    passes = plan_passes(extent, {seed}, ())
    assert [(one.start, *one.positions) for one in passes] == [half for half in (halves.backward, halves.forward) if len(half) > 1]
    assert all(one.conditioning == (seed,) for one in passes)


@pytest.mark.parametrize("seed", [2, 9])
def test_a_seed_outside_of_the_extent_is_refused(seed):
    with pytest.raises(PromptError, match=rf"The seed slice {seed} lies outside of the extent 3\.\.8"):
        halves_at(Extent(3, 8), seed)
