"""Learning after some corrections of a volume: locked slices stand, open ones are proposed anew, and the account is right."""

from __future__ import annotations

import numpy as np
import pytest
from learning_cases import a_case

from SAM2AnnotateLib.adaptation import LearningOptions
from SAM2AnnotateLib.simulated_learning import annotate_with_learning
from SAM2AnnotateLib.simulation.acceptance import Acceptance
from SAM2AnnotateLib.simulation.simulate import simulate
from SAM2AnnotateLib.simulation.workflow import ORDERS, Workflow

WAY = Workflow("ours")
STEPS = LearningOptions(steps=6)
# Nothing is ever good enough, so that corrections can be counted on.
NEVER_GOOD = Acceptance(dsc=1.0)


@pytest.mark.parametrize("order", ORDERS)
def test_without_learning_it_is_the_simulation_of_every_other_study(order):
    way, rule, case = Workflow("ours", order=order), Acceptance(dsc=0.8), a_case()
    alone = simulate(case.bench, case.memory, way, rule, case.new_rng())
    done = annotate_with_learning(a_case(), way, rule, None)
    assert done.moments == ()
    assert done.corrected == alone.corrected
    assert done.reader.effort.total == alone.effort
    assert all(np.array_equal(done.masks[position], alone.masks[position]) for position in alone.masks)


@pytest.mark.parametrize("order", ORDERS)
def test_it_learns_after_the_corrections_that_were_asked_for(order):
    done = annotate_with_learning(a_case(), Workflow("ours", order=order), NEVER_GOOD, STEPS, learn_after=(2, 4))
    assert [moment.corrections for moment in done.moments] == [2, 4]
    assert [moment.locked for moment in done.moments] == [2, 4]
    assert [moment.open_slices for moment in done.moments] == [7, 5]  # of nine
    assert done.corrected == 9
    assert len(done.reader.reviewed) == 9


def test_an_object_that_needs_fewer_corrections_is_never_learned():
    done = annotate_with_learning(a_case(), WAY, Acceptance(), STEPS)
    assert done.moments == ()
    assert done.corrected == 0


def test_nothing_is_learned_where_no_slice_is_open():
    done = annotate_with_learning(a_case(), WAY, NEVER_GOOD, STEPS, learn_after=(9,))
    assert done.moments == ()


def test_locked_slices_stay_as_they_are(monkeypatch):
    """A model that learned nonsense proposes nonsense, for open slices alone."""
    from SAM2AnnotateLib.engine import ScriptedEngine
    from SAM2AnnotateLib.engine.scripted_engine import ScriptedTrack

    case = a_case()
    plain = annotate_with_learning(a_case(), WAY, NEVER_GOOD, None)
    step = ScriptedTrack.step

    def nonsense(track, position, embedding):
        prediction = step(track, position, embedding)
        if track._engine.adapter is not None:
            prediction.logits[:] = -10.0
        return prediction

    monkeypatch.setattr(ScriptedTrack, "step", nonsense)
    assert isinstance(case.bench.engine._engine, ScriptedEngine)
    done = annotate_with_learning(case, WAY, NEVER_GOOD, STEPS, learn_after=(3,))
    (moment,) = done.moments
    assert moment.kept
    assert moment.learned_dsc < moment.memory_dsc
    locked = [position for position in plain.masks if position in (8, 7, 6)]  # the center, and downward
    assert all(np.array_equal(done.masks[position], plain.masks[position]) for position in locked)


def test_the_moment_says_how_good_the_open_slices_are():
    done = annotate_with_learning(a_case(), WAY, NEVER_GOOD, STEPS, learn_after=(3,))
    (moment,) = done.moments
    assert 0 < moment.memory_dsc <= 1
    assert 0 < moment.learned_dsc <= 1
    assert moment.memory_accepted == moment.learned_accepted == 0  # by a rule that accepts nothing
