"""Learning after some corrections of a volume: locked slices stand, open ones are proposed anew, and the account is right."""

from __future__ import annotations

import numpy as np
import pytest
from learning_cases import a_case

from SAM2AnnotateLib.adaptation import LearningOptions, learned
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


def test_each_open_slice_is_told_and_whether_it_lies_between_locked_ones():
    done = annotate_with_learning(a_case(), WAY, NEVER_GOOD, STEPS, learn_after=(3,))
    (moment,) = done.moments
    assert [one.position for one in moment.slices] == [4, 5, 9, 10, 11, 12]  # of 4..12: the center and two below it are locked
    assert not any(one.between for one in moment.slices)
    assert np.mean([one.learned_dsc for one in moment.slices]) == pytest.approx(moment.learned_dsc)
    doubtful = annotate_with_learning(a_case(), Workflow("ours", order="doubtful"), NEVER_GOOD, STEPS, learn_after=(3,)).moments[0]
    known = sorted(set(range(4, 13)) - {one.position for one in doubtful.slices})
    assert all(one.between == (known[0] < one.position < known[-1]) for one in doubtful.slices)
    assert any(one.between for one in doubtful.slices)


def _says_of_the_card(monkeypatch, **facts):
    """Whatever is learned has a card that says this."""
    from dataclasses import replace

    from SAM2AnnotateLib.adaptation import LearningOutcome
    from SAM2AnnotateLib.engine import Adapter
    from SAM2AnnotateLib.simulated_learning import one_volume as module

    def changed(learning):
        made = learned(learning)
        adapter = Adapter(made.adapter.tensors, replace(made.adapter.card, **facts))
        return LearningOutcome(adapter, made.before, made.after, made.steps, made.seconds, made.slices, made.volumes, made.text)

    monkeypatch.setattr(module, "learned", changed)


@pytest.mark.parametrize("order", ORDERS)
def test_what_stays_out_of_passes_changes_nothing(order, monkeypatch):
    _says_of_the_card(monkeypatch, in_passes=False)
    way = Workflow("ours", order=order)
    never = annotate_with_learning(a_case(), way, Acceptance(dsc=0.951), None)
    done = annotate_with_learning(a_case(), way, Acceptance(dsc=0.951), STEPS, learn_after=(2, 3))
    assert len(done.moments) == 2 and all(one.kept and one.learned_dsc == one.memory_dsc for one in done.moments)
    assert done.corrected == never.corrected
    assert all(np.array_equal(done.masks[position], never.masks[position]) for position in never.masks)


def test_later_moments_are_set_beside_the_model_as_it_came_too(monkeypatch):
    """After the first learning, nonsense is proposed; the second moment's left side is still the memory's."""
    from SAM2AnnotateLib.engine.scripted_engine import ScriptedTrack

    step = ScriptedTrack.step

    def nonsense(track, position, embedding):
        prediction = step(track, position, embedding)
        if track._engine.adapter is not None:
            prediction.logits[:] = -10.0
        return prediction

    monkeypatch.setattr(ScriptedTrack, "step", nonsense)
    _says_of_the_card(monkeypatch, in_passes=True)
    first, second = annotate_with_learning(a_case(), WAY, NEVER_GOOD, STEPS, learn_after=(3, 5)).moments
    assert first.learned_dsc < first.memory_dsc and second.learned_dsc < second.memory_dsc
    assert second.memory_dsc > 0.9
