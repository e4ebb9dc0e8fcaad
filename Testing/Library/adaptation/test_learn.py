"""Learning with the scripted model, whose gray and size can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SAM2AnnotateLib.adaptation import AnnotatedSlice, LearningOptions, learn, learned, propose_slices, slices_of
from SAM2AnnotateLib.adaptation.annotated_slice import place_of
from SAM2AnnotateLib.adaptation.held_out import folds_of
from SAM2AnnotateLib.adaptation.lessons import deepest_pixel, lessons_of, object_size_mm, positions_beyond, thinned
from SAM2AnnotateLib.adaptation.shares import ALL, HALF, NOTHING, PairedScore
from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.engine import EmbeddingStore, ScriptedEngine
from SAM2AnnotateLib.errors import Cancelled, EngineError, InputError
from SAM2AnnotateLib.geometry import Extent, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.propagation import RegionPolicy, SliceEncoder

EXTENT = Extent(2, 9)
STEPS = LearningOptions(steps=20)
BAR_ROWS, BAR_COLS = slice(20, 28), slice(6, 54)


def a_volume() -> Volume:
    """Twelve slices of 48 x 60 voxels, 2 x 1 mm: a long bar of gray 150 in gray 60 on slices 2..9."""
    voxels = np.full((12, 48, 60), 60.0)
    voxels[2:10, BAR_ROWS, BAR_COLS] = 150
    return Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -2.0, 3.0, 1.0])), voxels)


def an_encoder(engine=None) -> SliceEncoder:
    annotator = Annotator(a_volume(), engine or ScriptedEngine(), window="0,255", store=EmbeddingStore())
    return annotator.encoder_for(5, None)


def annotated(encoder: SliceEncoder, positions, extent: Extent | None = EXTENT) -> list[AnnotatedSlice]:
    return [
        AnnotatedSlice(encoder, position, encoder.stack.view(encoder.volume.array_kji)[position] > 100, extent) for position in positions
    ]


def test_one_click_finds_the_whole_object_after_learning_and_only_near_the_click_before():
    outcome = learned(learn(annotated(an_encoder(), (2, 4, 6, 8, 9)), object_name="bar", options=STEPS))
    assert outcome.before["point"] < 0.7 and outcome.after["point"] == 1.0
    assert outcome.adapter is not None and outcome.adapter.card.scores_after["point"] == 1.0
    assert "'bar'" in outcome.text and "1.00 after" in outcome.text and outcome.slices == 5 and outcome.volumes == 1
    found = Annotator(a_volume(), ScriptedEngine().with_adapter(outcome.adapter), window="0,255").new_object(5, points=[(30, 24, True)])
    assert int(found.preview().mask.sum()) == 8 * 48


def test_the_card_says_on_what_it_was_learned_and_nothing_of_the_patient():
    card = learned(learn(annotated(an_encoder(), (2, 4, 6, 11)), object_name="bar", terminology="SCT:1:Bar", options=STEPS)).adapter.card
    assert (card.object_name, card.terminology, card.plane, card.spacing_rc_mm) == ("bar", "SCT:1:Bar", "axial", (2.0, 1.0))
    assert (card.slice_count, card.volume_count, card.object_size_mm, card.window) == (4, 1, 48.0, (0.0, 255.0))
    assert card.base_sha256 == ScriptedEngine().weights_sha256 and len(card.created) == 10
    fields = set(card.to_json())
    assert not fields & {"patient", "path", "image", "file", "volume"}


def test_what_is_not_better_on_slices_held_out_is_not_kept(monkeypatch):
    """The stand-in learns a wrong gray: on every slice held out the model as it came is better."""
    from SAM2AnnotateLib.engine.scripted_engine import ScriptedLearningRun

    wrong = {"gray": np.array([5.0], np.float32), "size": np.array([3.0], np.float32)}
    monkeypatch.setattr(ScriptedLearningRun, "tensors", lambda _: wrong)
    outcome = learned(learn(annotated(an_encoder(), (2, 4, 6, 8)), object_name="bar", options=STEPS))
    assert outcome.adapter is None and outcome.steps == 0
    assert outcome.after["box"] < outcome.before["box"]
    assert outcome.text.startswith("Nothing was kept") and outcome.text.count(". ") == 0


def _with_scores(monkeypatch, **by_kind):
    """Whatever is learned, slices held out have these DSC with nothing, a half and all of it."""
    from SAM2AnnotateLib.adaptation import learning as module

    shares = (NOTHING, HALF, ALL)
    pairs = [PairedScore(kind, 0, dict(zip(shares, scores, strict=True))) for kind, scores in by_kind.items()]
    monkeypatch.setattr(module, "paired_scores", lambda *_: pairs)


def _mask_of_a_box(adapter):
    taught = ScriptedEngine().with_adapter(adapter)
    return Annotator(a_volume(), taught, window="0,255").new_object(5, box=((28, 20), (32, 24))).preview().mask


def test_a_kind_of_prompt_that_got_worse_is_answered_by_the_model_as_it_came(monkeypatch):
    _with_scores(monkeypatch, box=(0.9, 0.8, 0.7), point=(0.5, 0.55, 0.6))
    outcome = learned(learn(annotated(an_encoder(), (2, 4, 6, 8)), options=STEPS))
    assert outcome.adapter.card.serves == ("point", "none") and outcome.adapter.card.blend == {}
    assert "one click 0.50 before, 0.60 after; a box 0.90 before, 0.80 after (left to the model as it came);" in outcome.text
    assert np.array_equal(_mask_of_a_box(None), _mask_of_a_box(outcome.adapter))


def test_where_slices_held_out_leave_a_doubt_half_of_the_answer_is_the_model_as_it_came(monkeypatch):
    _with_scores(monkeypatch, box=(0.9, 0.91, 0.8), point=(0.5, 0.55, 0.6))
    outcome = learned(learn(annotated(an_encoder(), (2, 4, 6, 8)), options=STEPS))
    card = outcome.adapter.card
    assert card.serves == ("box", "point", "none") and card.blend == {"box": 0.5} and card.scores_after["box"] == 0.91
    assert "a box 0.90 before, 0.91 after (half of each answer is the model's as it came);" in outcome.text
    assert outcome.adapter.share("box") == 0.5 and outcome.adapter.share("point") == 1.0


SEEN_WHOLE = range(EXTENT.first, EXTENT.last + 1)


@pytest.mark.parametrize(
    ("known", "extent", "gained", "in_passes"),
    [
        ((2, 4, 6, 8), EXTENT, 0.02, False),  # slices are open, and a box gained little: passes go by the memory
        ((2, 4, 6, 8), EXTENT, 0.12, True),
        ((2, 4, 6, 8), None, 0.02, True),  # nobody said that slices are open
        (SEEN_WHOLE, EXTENT, 0.02, True),  # learned of a whole volume, for others
    ],
)
def test_little_that_was_learned_of_a_part_of_a_volume_does_not_go_into_its_passes(monkeypatch, known, extent, gained, in_passes):
    _with_scores(monkeypatch, box=(0.8, 0.8 + gained / 2, 0.8 + gained), point=(0.5, 0.55, 0.6))
    outcome = learned(learn(annotated(an_encoder(), known, extent), options=STEPS))
    assert outcome.adapter.serves("box") and outcome.adapter.card.in_passes is in_passes
    assert ("they stay as they are" in outcome.text) is not in_passes


@pytest.mark.parametrize(("accepted", "box", "in_passes"), [(3, 0.6, False), (3, 0.85, True), (2, 0.6, True), (0, 0.6, True)])
def test_where_passes_were_right_a_box_must_be_right_too(monkeypatch, accepted, box, in_passes):
    """Of four slices that many were accepted as proposed; a box gains 0.2 either way."""
    _with_scores(monkeypatch, box=(box - 0.2, box - 0.1, box), point=(0.5, 0.55, 0.6))
    slices = [replace(one, drawn=n >= accepted) for n, one in enumerate(annotated(an_encoder(), (2, 4, 6, 8)))]
    assert learned(learn(slices, options=STEPS)).adapter.card.in_passes is in_passes


def test_of_several_volumes_it_goes_into_passes_whatever_it_gained(monkeypatch):
    _with_scores(monkeypatch, box=(0.8, 0.81, 0.82), point=(0.5, 0.55, 0.6))
    slices = annotated(an_encoder(), (2, 4, 6, 8)) + annotated(an_encoder(), (2, 4, 6, 8))
    assert learned(learn(slices, options=STEPS)).adapter.card.in_passes


def test_two_slices_are_held_out_in_turn_and_one_is_too_few():
    outcome = learned(learn(annotated(an_encoder(), (3, 7)), options=STEPS))
    assert outcome.slices == 2 and set(outcome.before) == {"box", "point"}
    with pytest.raises(InputError, match="at least 2 annotated slices that hold the object, there are 1"):
        learned(learn(annotated(an_encoder(), (3, 11)), options=STEPS))
    alone = learned(learn(annotated(an_encoder(), (3,)), options=LearningOptions(steps=3, hold_out=False)))
    assert alone.adapter is not None and alone.before == {} and "not been measured" in alone.text


def test_slices_without_the_object_alone_teach_nothing():
    with pytest.raises(InputError, match="there are 0"):
        learned(learn(annotated(an_encoder(), (0, 1, 11)), options=STEPS))
    with pytest.raises(InputError, match="no slice was given"):
        learned(learn([], options=STEPS))


def test_slices_of_two_volumes_are_learned_together():
    one, other = an_encoder(), an_encoder()
    outcome = learned(learn([*annotated(one, (3, 5)), *annotated(other, (4, 6))], options=STEPS))
    assert outcome.volumes == 2 and outcome.adapter.card.volume_count == 2


def test_slices_of_another_model_are_refused():
    with pytest.raises(InputError, match="same model"):
        learned(learn([*annotated(an_encoder(), (3, 5)), *annotated(an_encoder(ScriptedEngine(tolerance=9)), (4, 6))], options=STEPS))


@pytest.mark.parametrize("after_steps", [0, 1, 7])
def test_learning_stops_when_asked_and_leaves_the_model_as_it_was(after_steps):
    encoder, token = an_encoder(), CancelToken()
    before = encoder.engine.describe()
    learning, steps = learn(annotated(encoder, (2, 4, 6, 8)), options=STEPS, cancel=token), 0
    with pytest.raises(Cancelled):
        for progress in learning:
            if progress.what == "Learning":
                steps += 1
            if steps == after_steps:
                token.cancel()
    assert encoder.engine.describe() == before and encoder.engine.adapter is None


def test_out_of_memory_while_learning_is_told_and_leaves_the_model_as_it_was():
    def fail(step: int) -> None:
        if step == 3:
            raise EngineError("Out of memory on cpu.", "Close other programs.")

    engine = ScriptedEngine(fail_learning_at=fail)
    encoder = an_encoder(engine)
    with pytest.raises(EngineError, match="Out of memory"):
        learned(learn(annotated(encoder, (2, 4, 6, 8)), options=STEPS))
    assert (
        engine.adapter is None and Annotator(a_volume(), engine, window="0,255").new_object(5, box=((6, 20), (54, 28))).preview().mask.any()
    )


@pytest.mark.parametrize("asking_seconds, until", [(0.0, 1.0), (2.0, 1.0), (3.0, 0.9), (60.0, 0.75)])
def test_what_asking_takes_beyond_its_share_is_taken_off_the_last_run(asking_seconds, until):
    from SAM2AnnotateLib.adaptation.learning import _School

    school = _School(ScriptedEngine(), [], LearningOptions(seconds=10.0), None)
    school.asking_seconds = asking_seconds
    assert school.last_until == pytest.approx(until)
    counted = _School(ScriptedEngine(), [], STEPS, None)
    counted.asking_seconds = asking_seconds
    assert counted.last_until == 1.0  # steps are the same on every machine


def test_progress_rises_to_the_end():
    seen = []
    learned(learn(annotated(an_encoder(), (2, 4, 6, 8)), options=STEPS), seen.append)
    done = [progress.done for progress in seen if progress.what == "Learning"]
    assert done == sorted(done) and done[-1] == 1000 and len(done) == 20


def test_the_same_seed_learns_the_same():
    adapters = [learned(learn(annotated(an_encoder(), (2, 4, 6, 8)), options=STEPS)).adapter for _ in range(2)]
    assert adapters[0].sha256 == adapters[1].sha256


@pytest.mark.parametrize(
    "bad", [{"seconds": 0}, {"seconds": -3}, {"seconds": float("nan")}, {"steps": 0}, {"seed": -1}, {"trained": "everything"}]
)
def test_options_that_cannot_be_are_refused(bad):
    with pytest.raises(InputError):
        LearningOptions(**bad)


def test_a_mask_of_another_slice_is_refused():
    with pytest.raises(InputError, match="48, 60"):
        AnnotatedSlice(an_encoder(), 3, np.zeros((4, 4), bool))
    with pytest.raises(InputError, match="Slice 12 does not exist"):
        AnnotatedSlice(an_encoder(), 12, np.zeros((48, 60), bool))


def test_a_slice_is_learned_in_the_parts_that_are_asked_about_later():
    slices = annotated(an_encoder(), (3, 5, 11))
    lessons = [pair for showing in lessons_of(slices, RegionPolicy(), np.random.default_rng(0)) for pair in showing()]
    assert {one.position for one, _ in lessons} == {3, 5, 11}
    empty = [lesson for one, lesson in lessons if one.position == 11]
    assert empty and all(lesson.kinds == ("none",) for lesson in empty)
    assert all(lesson.mask.any() for one, lesson in lessons if one.position != 11)
    assert {kind for _, lesson in lessons for kind in lesson.kinds} == {"box", "point", "both", "none"}


def test_the_size_is_that_of_the_longer_side_in_mm():
    assert object_size_mm(annotated(an_encoder(), (3, 5, 11))) == 48.0


def test_slices_beyond_the_extent_stay_in_the_volume():
    assert positions_beyond(Extent(4, 6), 12) == [0, 3, 7, 10]
    assert positions_beyond(Extent(0, 9), 12) == [10]
    assert positions_beyond(Extent(0, 11), 12) == []


def test_each_slice_is_held_out_once_and_neighbors_in_different_turns():
    slices = annotated(an_encoder(), (2, 3, 4, 5, 6))
    turns = [[one.position for one in turn] for turn in folds_of(slices, 3)]
    assert turns == [[2, 5], [3, 6], [4]]


def test_the_deepest_pixel_lies_on_the_object_even_if_its_center_does_not():
    ring = np.zeros((21, 31), bool)
    ring[2:19, 2:29] = True
    ring[5:16, 5:26] = False
    assert ring[deepest_pixel(ring)]
    assert deepest_pixel(np.ones((1, 1), bool)) == (0, 0)


@pytest.mark.parametrize(("position", "along"), [(2, 0.0), (9, 1.0), (4, 2 / 7)])
def test_the_place_runs_from_the_first_slice_to_the_last(position, along):
    assert place_of(position, Extent(2, 9)).along == pytest.approx(along)
    assert place_of(position, None).along is None and place_of(3, Extent(3, 3)).along == 0.5


def test_open_slices_are_proposed_and_locked_ones_never():
    encoder = an_encoder()
    outcome = learned(learn(annotated(encoder, (2, 5, 9)), options=STEPS))
    locked = {one.position: one.mask for one in annotated(encoder, (2, 5, 9))}
    taught = encoder.with_engine(encoder.engine.with_adapter(outcome.adapter))
    results = {result.position: result for result in propose_slices(taught, RegionPolicy(), locked, Extent(2, 9))}
    assert sorted(results) == [3, 4, 6, 7, 8]
    assert all(int(result.mask.sum()) == 8 * 48 for result in results.values())


def test_of_hundreds_of_slices_some_are_learned_from_spread_over_all():
    encoder = an_encoder()
    many = [one for _ in range(20) for one in annotated(encoder, (2, 3, 4, 5, 6, 7, 8, 9, 0, 11))]
    few = thinned(many, 96)
    assert len(few) == 96 and sum(one.holds_object for one in few) == 72
    assert {one.position for one in few} == {0, 2, 3, 4, 5, 6, 7, 8, 9, 11}
    assert thinned(many[:5], 96) == many[:5] and len(thinned(many, 3)) == 3
    outcome = learned(learn(many, options=LearningOptions(steps=6)))
    assert outcome.adapter.card.slice_count == 96


def test_what_a_person_locked_is_learned_and_that_the_object_ends_at_its_ends():
    annotator = Annotator(a_volume(), ScriptedEngine(), window="0,255")
    item = annotator.new_object(5, box=((6, 20), (54, 28)), extent=(2, 9))
    for _ in item.propagate():
        pass
    item.accept(3)
    item.accept(7)
    slices = slices_of(item)
    assert [(one.position, one.holds_object) for one in slices] == [(3, True), (7, True), (1, False), (10, False)]
    assert learned(learn(slices, policy=annotator.policy, options=STEPS)).slices == 2


def test_the_window_of_an_adapter_is_used_where_nobody_asked_for_one():
    from SAM2AnnotateLib.annotator import as_learned

    adapter = learned(learn(annotated(an_encoder(), (2, 4)), options=STEPS)).adapter
    ct = IntensityMapping(-160, 240, "abdomen", "seen")
    assert (as_learned(ct, "auto", adapter).lower, as_learned(ct, "auto", adapter).upper) == (0.0, 255.0)
    assert as_learned(ct, "abdomen", adapter) is ct and as_learned(ct, "auto", None) is ct
    mr = IntensityMapping(3, 900, "mr", "seen")
    assert as_learned(mr, "auto", adapter) is mr
