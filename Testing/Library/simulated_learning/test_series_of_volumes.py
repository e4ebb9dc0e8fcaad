"""Volume after volume: what was corrected on the first is not to be corrected on the next."""

from __future__ import annotations

import numpy as np
import pytest
from learning_cases import FIRST, LAST, a_case

from SAM2AnnotateLib.adaptation import LearningOptions
from SAM2AnnotateLib.errors import Cancelled
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.simulated_learning import annotate_series, taught_slices
from SAM2AnnotateLib.simulation.acceptance import Acceptance
from SAM2AnnotateLib.simulation.simulate import simulate
from SAM2AnnotateLib.simulation.workflow import Workflow

RULE, WAY = Acceptance(dsc=0.8), Workflow("ours")
STEPS = LearningOptions(steps=6)


def test_without_learning_each_volume_is_annotated_as_if_it_were_alone():
    cases = [a_case(seed) for seed in range(3)]
    alone = [simulate(case.bench, case.memory, WAY, RULE, case.new_rng()) for case in (a_case(seed) for seed in range(3))]
    done = list(annotate_series(cases, WAY, RULE, None))
    assert [one.number for one in done] == [1, 2, 3]
    assert [one.done.slices for one in done] == [one.slices for one in alone]
    assert all(one.adapter is None and one.lesson is None for one in done)
    assert all(one.done.corrected >= 1 for one in done)


def test_what_was_learned_on_one_volume_is_used_on_the_next():
    done = list(annotate_series([a_case(seed) for seed in range(4)], WAY, RULE, STEPS, object_name="bar"))
    assert done[0].adapter is None
    assert done[0].done.corrected >= 1
    assert [one.done.corrected for one in done[1:]] == [0, 0, 0]  # the box alone gives the bar, once its gray is known
    assert done[1].adapter is not None
    assert done[1].adapter.card.object_name == "bar"
    assert done[-1].lesson is None  # there is nothing to learn for


def test_it_learns_from_all_volumes_until_then():
    done = list(annotate_series([a_case(seed) for seed in range(4)], WAY, RULE, STEPS))
    slices = LAST - FIRST + 1
    assert [one.lesson.slices for one in done[:-1]] == [slices, 2 * slices, 3 * slices]
    assert [one.lesson.volumes for one in done[:-1]] == [1, 2, 3]


def test_where_nothing_better_was_learned_the_earlier_stays(monkeypatch):
    from SAM2AnnotateLib.simulated_learning import series

    learn, calls = series.learn, []

    def once(slices, **given):
        outcome = yield from learn(slices, **given)
        calls.append(outcome)
        return outcome if len(calls) == 1 else type(outcome)(**{**vars(outcome), "adapter": None})

    monkeypatch.setattr(series, "learn", once)
    done = list(annotate_series([a_case(seed) for seed in range(4)], WAY, RULE, STEPS))
    assert calls[0].adapter is not None
    assert [one.adapter is calls[0].adapter for one in done] == [False, True, True, True]


def test_slices_beyond_the_marked_ends_teach_that_the_object_is_not_there():
    case = a_case()
    truth = case.memory.truth
    masks = {position: truth.frame(position) for position in truth.extent.indices}
    taught = taught_slices(case, masks, "auto")
    absent = sorted(one.position for one in taught if not one.mask.any())
    assert absent == [FIRST - 3, FIRST - 2, FIRST - 1, LAST + 1, LAST + 2, LAST + 3]
    assert sorted(one.position for one in taught if one.mask.any()) == list(range(FIRST, LAST + 1))
    assert all(one.drawn for one in taught)
    some = taught_slices(case, masks, "auto", drawn=[5, 7])
    assert sorted(one.position for one in some if one.drawn and one.mask.any()) == [5, 7]


def test_what_was_accepted_as_proposed_is_told_from_what_was_drawn(monkeypatch):
    """Its errors are the model's own: it teaches less, and says little of how good the model is."""
    from SAM2AnnotateLib.simulated_learning import series

    seen, learn = [], series.learn
    monkeypatch.setattr(series, "learn", lambda slices, **given: (seen.append(list(slices)), learn(slices, **given))[1])
    first, _ = annotate_series([a_case(0), a_case(1)], WAY, RULE, STEPS)
    corrected = {one.slice_index for one in first.done.slices if one.corrected}
    assert {one.position for one in seen[0] if one.drawn and one.mask.any()} == corrected
    assert 0 < len(corrected) < LAST - FIRST + 1


def test_it_can_be_cancelled_while_it_learns():
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        list(annotate_series([a_case(0), a_case(1)], WAY, RULE, STEPS, cancel=cancel))


def test_the_same_series_gives_the_same_adapters():
    first, second = (list(annotate_series([a_case(seed) for seed in range(3)], WAY, RULE, STEPS)) for _ in range(2))
    assert [one.adapter and one.adapter.sha256 for one in first] == [one.adapter and one.adapter.sha256 for one in second]
    assert all(np.array_equal(a.done.masks[p], b.done.masks[p]) for a, b in zip(first, second, strict=True) for p in a.done.masks)
