"""Learning from the slice beside: which lessons there are, what is held out of them, and what a step makes of what was learned."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from SAM2AnnotateLib.adaptation import AnnotatedSlice, LearningOptions, learn, learned
from SAM2AnnotateLib.adaptation.held_out import asked_about, parts_to_hold_out
from SAM2AnnotateLib.adaptation.held_out_runs import run_scores
from SAM2AnnotateLib.adaptation.lessons import lessons_of, thinned_volumes
from SAM2AnnotateLib.adaptation.shares import ALL, NOTHING, share_for
from SAM2AnnotateLib.adaptation.volume_lessons import lessons_of_runs, lessons_of_volumes
from SAM2AnnotateLib.adaptation.volumes import remembered_beside
from SAM2AnnotateLib.engine import Adapter, AdapterCard, ScriptedEngine
from SAM2AnnotateLib.geometry import Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy, SliceEncoder, propagate
from SAM2AnnotateLib.propagation.growing_view import GrowingView

EXTENT = Extent(3, 26)
BRIGHT, FADED = 200, 150


def an_encoder(seed: int = 0, faded: tuple[int, ...] = ()) -> SliceEncoder:
    """A bar of 10 x 12 voxels on slices 3..26 of 30; on the slices that faded it is darker, beyond what the scripted model follows."""
    voxels = np.full((30, 40, 44), 40 + seed, dtype=np.int16)
    voxels[3:27, 12:22, 14:26] = BRIGHT
    for position in faded:
        voxels[position, 12:22, 14:26] = FADED
    volume = Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), voxels)
    return SliceEncoder(ScriptedEngine(), volume, SliceStack.along(volume.grid, "k"), IntensityMapping(0, 255, "explicit", "asked for"))


def annotated(encoder: SliceEncoder, positions, drawn: bool = True) -> list[AnnotatedSlice]:
    found = []
    for position in positions:
        mask = np.zeros((40, 44), dtype=bool)
        mask[12:22, 14:26] = position in EXTENT
        found.append(AnnotatedSlice(encoder, position, mask, EXTENT, drawn))
    return found


def lessons(slices):
    return shown(lessons_of(slices, RegionPolicy(), np.random.default_rng(0)))


def shown(showings):
    return [pair for showing in showings for pair in showing()]


def test_the_nearest_annotated_slice_on_each_side_is_remembered_within_reach():
    encoder = an_encoder()
    slices = annotated(encoder, (5, 6, 8, 14))
    assert [[other.position for other in remembered_beside(one, slices)] for one in slices] == [[6], [5, 8], [6], []]
    far = annotated(an_encoder(1), (7,))
    assert remembered_beside(slices[1], [*slices, *far]) == remembered_beside(slices[1], slices)  # another volume's is not beside it


def test_slices_without_the_object_remember_but_are_not_remembered():
    encoder = an_encoder()
    slices = annotated(encoder, (1, 2, 3, 4))  # the object begins at 3
    found = {one.position: [other.position for other in remembered_beside(one, slices)] for one in slices}
    assert found == {1: [3], 2: [3], 3: [4], 4: [3]}


def test_a_lesson_of_memory_says_where_the_other_slice_lies():
    slices = [*annotated(an_encoder(), (5, 6)), *annotated(an_encoder(1), (20,))]
    found = {(one.position, lesson.memory[0].position) for one, lesson in lessons(slices) if lesson.memory}
    assert found == {(5, 1), (6, -1)}
    assert all(lesson.memory[0].mask.shape == lesson.mask.shape for _, lesson in lessons(slices) if lesson.memory)
    assert not any(lesson.memory for _, lesson in lessons(slices[:2]))  # one volume: SAM 2's own memory is as good


def test_what_a_person_drew_counts_more_than_what_was_accepted():
    encoder = an_encoder()
    drawn, accepted = annotated(encoder, (5,)), annotated(encoder, (20,), drawn=False)
    weights = dict.fromkeys((5, 20), 0.0)
    for one, lesson in lessons([*drawn, *accepted]):
        weights[one.position] += lesson.weight
    assert weights[5] == pytest.approx(3 * weights[20])


def test_few_slices_are_held_out_in_turn_many_in_one_turn():
    encoder, other = an_encoder(), an_encoder(1)
    few = annotated(encoder, (4, 8, 12, 16))
    assert [len(part) for part in parts_to_hold_out(few, 3)] == [2, 1, 1]
    many = annotated(encoder, range(3, 27))
    (part,) = parts_to_hold_out(many, 3)
    assert len(part) == 8
    (last,) = parts_to_hold_out([*many, *annotated(other, range(3, 15))], 3)
    assert {one.encoder for one in last} == {other}
    assert len(last) == 12


@pytest.mark.parametrize(
    ("counts", "held"),
    [((24, 24), 1), ((24, 5, 3), 1), ((24, 1), None), ((24, 4), 1), ((1, 24), None), ((12, 12, 2), 1), ((3, 3, 3, 3, 3, 3, 3), None)],
)
def test_a_volume_is_held_out_that_has_enough_slices_and_leaves_enough(counts, held):
    volumes = [annotated(an_encoder(number), range(3, 3 + count)) for number, count in enumerate(counts)]
    (part,) = parts_to_hold_out([one for volume in volumes for one in volume], 3)
    if held is None:
        assert len({id(one.encoder) for one in part}) > 1 or len(part) == sum(counts) // 3
    else:
        assert part == volumes[held]


def test_what_shows_something_else_in_the_last_volume_is_told():
    first, second = annotated(an_encoder(), range(3, 15)), annotated(an_encoder(1), range(3, 15))
    other = []
    for one in second:
        mask = np.zeros((40, 44), dtype=bool)
        mask[30:36, 2:10] = True
        other.append(AnnotatedSlice(one.encoder, one.position, mask, EXTENT))
    options = LearningOptions(steps=4)
    told = [learned(learn([*first, *last], options=options)).text for last in (second, other)]
    assert "same object" not in told[0]
    assert told[1].endswith("check that all volumes show the same object.")


def test_the_model_is_asked_about_what_a_person_drew():
    encoder = an_encoder()
    mixed = [*annotated(encoder, range(3, 9)), *annotated(encoder, range(9, 27), drawn=False)]
    assert [one.position for one in asked_about(mixed)] == list(range(3, 9))
    hardly = [*annotated(encoder, (3,)), *annotated(encoder, range(9, 15), drawn=False)]
    assert asked_about(hardly) == hardly
    assert len(asked_about(annotated(encoder, range(3, 27)))) == 12


def test_nothing_that_is_held_out_is_remembered(monkeypatch):
    seen = []
    start = ScriptedEngine.start_learning

    def watched(engine, given, settings):
        seen.append([(lesson.position, [lesson.position + one.position for one in lesson.memory]) for lesson in given])
        return start(engine, given, settings)

    monkeypatch.setattr(ScriptedEngine, "start_learning", watched)
    slices = [*annotated(an_encoder(), (5, 6, 7, 8)), *annotated(an_encoder(1), (20,))]
    learned(learn(slices, options=LearningOptions(steps=8)))
    turns = seen[:3]
    for turn in turns:
        learned_from = {position for position, _ in turn}
        assert learned_from < {5, 6, 7, 8, 20}
        assert all(set(memory) <= learned_from for _, memory in turn)
    assert any(memory for turn in turns for _, memory in turn)


def test_a_run_goes_on_with_what_was_learned_where_the_memory_loses_the_object():
    """On one slice the bar is of another gray: the scripted memory finds nothing there nor behind it, the learned gray does."""
    encoder = an_encoder(faded=(12,))
    prompts = {10: SlicePrompt(mask=annotated(encoder, (10,))[0].mask)}
    plain = {one.position: int(one.mask.sum()) for one in propagate(encoder, prompts, Extent(10, 15), RegionPolicy(), locked=(10,))}
    assert plain[11] == 120
    assert plain[12] == plain[13] == 0
    outcome = learned(learn(annotated(encoder, (5, 6, 7, 8)), options=LearningOptions(steps=8, hold_out=False)))
    assert outcome.adapter is not None
    card = dataclasses.replace(outcome.adapter.card, serves=("memory",))
    tensors = {**outcome.adapter.tensors, "gray": np.array([(BRIGHT + FADED) / 2], dtype=np.float32)}
    engine = ScriptedEngine(tolerance=30)
    card = dataclasses.replace(card, base_sha256=engine.fingerprint)
    taught = encoder.with_engine(engine.with_adapter(Adapter(tensors, card)))
    results = {one.position: int(one.mask.sum()) for one in propagate(taught, prompts, Extent(10, 15), RegionPolicy(), locked=(10,))}
    assert results == dict.fromkeys(range(11, 16), 120)


def test_an_adapter_of_several_volumes_serves_memory_one_of_a_single_volume_does_not():
    encoder = an_encoder()
    options = LearningOptions(steps=4, hold_out=False)
    alone = learned(learn(annotated(encoder, (5, 6, 7)), options=options)).adapter
    both = learned(learn([*annotated(encoder, (5, 6, 7)), *annotated(an_encoder(1), (5, 6))], options=options)).adapter
    assert alone is not None and both is not None
    assert not alone.serves("memory")
    assert both.serves("memory")


def test_the_user_is_told_how_well_masks_are_carried_or_that_this_was_not_learned():
    def said(*volumes):
        slices = [one for seed, positions in enumerate(volumes) for one in annotated(an_encoder(seed), positions)]
        return learned(learn(slices, options=LearningOptions(steps=4)))

    for last in (range(3, 27), range(3, 9)):
        outcome = said(range(3, 27), last)
        assert f"slice after slice {outcome.before['memory']:.2f} before, {outcome.after['memory']:.2f} after" in outcome.text
        assert "was not learned" not in outcome.text
    for sparse in ((range(4, 27, 5), range(4, 27, 5)), (range(3, 27), (10,))):
        outcome = said(*sparse)
        assert not outcome.adapter.serves("memory")
        assert outcome.text.endswith("annotate slices that lie beside each other, in the last volume too.")
    assert "was not learned" not in said(range(3, 27)).text


def test_a_volume_without_the_object_is_no_second_one_to_learn_memory_from():
    without = annotated(an_encoder(1), (0, 1, 2))
    for slices in ([*annotated(an_encoder(), range(3, 27)), *without], [*without, *annotated(an_encoder(), range(3, 27))]):
        outcome = learned(learn(slices, options=LearningOptions(steps=4)))
        assert outcome.volumes == 1 and not outcome.adapter.serves("memory")


@pytest.mark.parametrize("last", [(5, 6, 25, 26), (5, 6, 7, 25)])
def test_runs_stop_at_any_slice_annotated_or_not(monkeypatch, last):
    """Between slices 7 and 25 nothing is annotated, and each slice of a run takes the model long."""
    engine, asked = ScriptedEngine(), []
    held = annotated(an_encoder(), last)
    others = annotated(an_encoder(1), range(3, 27))
    taught = engine.with_adapter(an_adapter(engine))
    runs = (
        lambda: list(run_scores(held, others, engine, an_adapter(engine), RegionPolicy(), lambda: asked.append(1))),
        lambda: list(lessons_of_runs([*others, *held], taught, RegionPolicy(), np.random.default_rng(0), lambda: asked.append(1))),
    )
    stepped, step = [], GrowingView.step
    monkeypatch.setattr(GrowingView, "step", lambda view, position: (stepped.append(position), step(view, position))[1])
    for run in runs:
        run()
        assert len(asked) == len(stepped) >= 20


def test_a_proposal_that_was_corrected_does_not_come_back_when_more_is_shown(monkeypatch):
    """On slice 13 the bar reaches the crop's border: the memory is told anew, of slice 12 what a person drew there."""
    encoder = an_encoder()
    voxels = encoder.volume.array_kji.copy()
    voxels[13, 12:22, 14:44] = BRIGHT
    volume = Volume(encoder.volume.grid, voxels)
    encoder = SliceEncoder(ScriptedEngine(reach=40), volume, encoder.stack, encoder.mapping)
    told, track = [], type(encoder.engine.start_track((40, 44), 30, False))
    remember = track.remember
    monkeypatch.setattr(track, "remember", lambda self, position, *rest: (told.append(position), remember(self, position, *rest))[1])
    known = SlicePrompt(mask=annotated(encoder, (10,))[0].mask)
    view = GrowingView(encoder, RegionPolicy(), [known], extent=EXTENT)
    view.condition(10, known, known.mask)
    view.step(11)
    view.step(12)
    corrected = SlicePrompt(mask=np.roll(known.mask, 1, axis=1))
    view.condition(12, corrected, corrected.mask)
    narrow = view.crop
    view.step(13)
    assert view.crop != narrow and 11 in told and 12 not in told


def test_what_is_recalled_is_shown_more_of_a_slice_where_the_object_reaches_the_border():
    """From a small known slice to a large one: the part that is shown grows, and the whole object is found."""
    voxels = np.full((30, 80, 84), 40, dtype=np.int16)
    voxels[5, 38:42, 40:44] = BRIGHT
    voxels[6:10, 28:52, 30:54] = BRIGHT
    volume = Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), voxels)
    engine = ScriptedEngine(reach=14)
    card = AdapterCard("bar", engine.fingerprint, "scripted", serves=("memory",))
    tensors = {"gray": np.array([BRIGHT], dtype=np.float32), "size": np.array([12], dtype=np.float32)}
    taught = engine.with_adapter(Adapter(tensors, card))
    stack = SliceStack.along(volume.grid, "k")
    encoder = SliceEncoder(taught, volume, stack, IntensityMapping(0, 255, "explicit", "asked for"))
    known = stack.view(volume.array_kji)[5] == BRIGHT
    results = list(propagate(encoder, {5: SlicePrompt(mask=known)}, Extent(5, 9), RegionPolicy(), locked=(5,)))
    assert [int(one.mask.sum()) for one in results] == [576] * 4
    assert max(results[0].crop.shape_rc) > 16


def test_an_empty_slice_between_is_passed_over():
    """A slice on which nothing was found is not what the next one is recalled from."""
    encoder = an_encoder(faded=(12,))
    engine = ScriptedEngine()
    card = AdapterCard("bar", engine.fingerprint, "scripted", serves=("memory",))
    tensors = {"gray": np.array([BRIGHT], dtype=np.float32), "size": np.array([12], dtype=np.float32)}
    taught = encoder.with_engine(engine.with_adapter(Adapter(tensors, card)))
    prompts = {10: SlicePrompt(mask=annotated(encoder, (10,))[0].mask)}
    results = {one.position: int(one.mask.sum()) for one in propagate(taught, prompts, Extent(10, 15), RegionPolicy(), locked=(10,))}
    assert results == {11: 120, 12: 0, 13: 120, 14: 120, 15: 120}


def an_adapter(engine: ScriptedEngine, gray: float = BRIGHT, **card) -> Adapter:
    """As learned: this gray, and 12 voxels of size."""
    tensors = {"gray": np.array([gray], dtype=np.float32), "size": np.array([12], dtype=np.float32)}
    return Adapter(tensors, AdapterCard("bar", engine.fingerprint, "scripted", **{"serves": ("memory",), **card}))


def test_what_was_learned_is_shown_at_the_scale_at_which_it_was_learned():
    """From a slice on which the object is small; without a size on the card the part that is shown follows from that slice alone."""
    encoder, engine = an_encoder(), ScriptedEngine()
    speck = np.zeros((40, 44), dtype=bool)
    speck[15:18, 18:21] = True
    prompts = {3: SlicePrompt(mask=speck)}
    sides = []
    for size_mm in (0.0, 12.0):
        taught = encoder.with_engine(engine.with_adapter(an_adapter(engine, object_size_mm=size_mm)))
        results = list(propagate(taught, prompts, Extent(3, 4), RegionPolicy(), locked=(3,)))
        sides.append(max(results[0].crop.shape_rc))
    assert sides[0] < sides[1] == round(RegionPolicy().side_for(12.0, (1.0, 1.0)))
    lesson = next(lesson for _, lesson in lessons([*annotated(encoder, (5, 6)), *annotated(an_encoder(1), (7,))]) if lesson.memory)
    assert max(lesson.mask.shape) == sides[1]


@pytest.mark.parametrize(("kind", "side"), [(RegionPolicy("full"), 0.0), (RegionPolicy("margin", 5.0), 22.0), (RegionPolicy(), 512**0.5)])
def test_the_side_for_a_size_is_that_of_a_crop_around_it(kind, side):
    assert kind.side_for(12.0, (1.0, 1.0)) == pytest.approx(side)


def test_the_memory_has_its_share_in_what_was_learned():
    """Two answers by halves: where only one of them knows the object, there is none; both go on from what was made of both."""
    encoder, engine = an_encoder(faded=(12,)), ScriptedEngine()
    prompts = {10: SlicePrompt(mask=annotated(encoder, (10,))[0].mask)}

    def areas(gray: float, **card):
        taught = encoder.with_engine(engine.with_adapter(an_adapter(engine, gray, **card)))
        results = propagate(taught, prompts, Extent(10, 15), RegionPolicy(), locked=(10,))
        return {one.position: int(one.mask.sum()) for one in results}

    assert areas(BRIGHT) == {11: 120, 12: 0, 13: 120, 14: 120, 15: 120}
    halves = areas(FADED, blend={"memory": 0.5})  # what was learned finds nothing but on slice 12, where the memory finds nothing
    assert halves == dict.fromkeys(range(11, 16), 0)
    assert areas(BRIGHT, blend={"memory": 0.5})[11] == 120


def test_a_volume_that_is_held_out_is_run_through_from_its_middle():
    encoder, other, engine = an_encoder(faded=(16,)), an_encoder(1), ScriptedEngine()
    held = annotated(encoder, range(10, 20))
    others = [*annotated(other, (5, 6)), *annotated(encoder, (1,))]  # that it is not on a slice says nothing of where it is
    adapter = an_adapter(engine, (BRIGHT + FADED) / 2)
    engine = ScriptedEngine(tolerance=30)
    adapter = Adapter(adapter.tensors, dataclasses.replace(adapter.card, base_sha256=engine.fingerprint))
    scores = list(run_scores(held, others, engine, adapter, RegionPolicy(), lambda: None))
    assert len(scores) == 9  # one slice is taken as known
    assert {one.kind for one in scores} == {"memory"}
    assert [one.by_share[ALL] for one in scores] == [1.0] * 9
    lost = [one.number for one in scores if one.by_share[NOTHING] == 0]  # the scripted memory goes by the gray of the slice before
    assert sorted(lost) == [16, 17]  # what it loses is corrected, so that it goes on from there
    assert share_for(scores) == ALL


def test_a_held_out_slice_is_reached_from_the_nearest_known_one():
    encoder, engine = an_encoder(), ScriptedEngine()
    slices = annotated(encoder, (5, 7, 8, 20))
    held = [slices[1], slices[3]]
    others = [slices[0], slices[2], *annotated(an_encoder(1), (5,))]
    scores = list(run_scores(held, others, engine, an_adapter(engine), RegionPolicy(), lambda: None))
    assert len(scores) == 1  # slice 20 lies too far from any other


def test_a_slice_that_went_astray_is_outvoted_by_the_one_before_it():
    """Something else of the same gray lies beside the bar from slice 6 on, and the mask of slice 6 took it in."""
    encoder = an_encoder()
    voxels = encoder.volume.array_kji.copy()
    voxels[6:10, 12:22, 34:42] = BRIGHT
    volume = Volume(encoder.volume.grid, voxels)
    engine = ScriptedEngine(reach=3)
    encoder = SliceEncoder(engine.with_adapter(an_adapter(engine)), volume, encoder.stack, encoder.mapping)
    true, astray = (annotated(encoder, (5,))[0].mask, voxels[6] == BRIGHT)
    known = [SlicePrompt(mask=true), SlicePrompt(mask=astray)]
    view = GrowingView(encoder, RegionPolicy("full"), known, extent=EXTENT)
    view.condition(6, known[1], astray)
    assert int(view.step(7).mask.sum()) == 120 + 80
    view = GrowingView(encoder, RegionPolicy("full"), known, extent=EXTENT)
    for position, prompt in zip((5, 6), known, strict=True):
        view.condition(position, prompt, prompt.mask)
    assert int(view.step(7).mask.sum()) == 120


def test_a_volume_is_encoded_once_for_all_lessons_of_a_look():
    encoder, other = an_encoder(), an_encoder(1)
    slices = [*annotated(encoder, range(3, 15)), *annotated(other, range(3, 15))]
    found = shown(lessons_of_volumes(slices, 12.0, RegionPolicy(), np.random.default_rng(0)))
    pictures = {id(lesson.embedding) for _, lesson in found} | {id(one.embedding) for _, lesson in found for one in lesson.memory}
    assert encoder.engine.encoded_frames + other.engine.encoded_frames == len(pictures) == 3 * 24  # as a run has it, and two further looks
    assert len(found) == 3 * (24 + 2 * (2 * 12 - 2))  # of each slice, and of each pair of neighbors in both directions
    sides = {lesson.mask.shape for _, lesson in found}
    assert len(sides) > 1
    assert all(lesson.mask.any() for _, lesson in found)


def test_an_object_that_leaves_the_crop_is_shown_in_a_larger_one():
    voxels = np.full((12, 60, 200), 40, dtype=np.int16)
    for position in range(12):
        voxels[position, 20:30, 10 + 15 * position : 20 + 15 * position] = BRIGHT
    volume = Volume(VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), voxels)
    encoder = SliceEncoder(ScriptedEngine(), volume, SliceStack.along(volume.grid, "k"), IntensityMapping(0, 255, "explicit", "asked for"))
    slices = [AnnotatedSlice(encoder, position, voxels[position] == BRIGHT, Extent(0, 11)) for position in range(12)]
    found = [lesson for _, lesson in shown(lessons_of_volumes(slices, 10.0, RegionPolicy(), np.random.default_rng(0))) if not lesson.memory]
    assert [int(lesson.mask.sum()) for lesson in found[:12]] == [100] * 12  # as a run has them


def test_of_many_volumes_the_last_and_some_others_are_learned_from():
    volumes = [annotated(an_encoder(seed), range(30)) for seed in range(7)]
    slices = [one for volume in volumes for one in volume]
    drawn = [thinned_volumes(slices, 100, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    for some in drawn:
        kept = {id(one.encoder) for one in some}
        assert len(some) == 90
        assert len(kept) == 3
        assert id(volumes[-1][0].encoder) in kept
        assert [id(one.encoder) for one in some] == sorted((id(one.encoder) for one in some), key=[id(one.encoder) for one in slices].index)
    assert drawn[0] == drawn[1] != drawn[2]
    two = thinned_volumes([*volumes[0], *volumes[1]], 80, np.random.default_rng(0))  # few volumes: each with its share
    assert set(two) == {*volumes[0], *volumes[1]}


def test_runs_teach_with_what_they_remember_themselves():
    """The slice beside is remembered as the run had it, not as a person drew it; what is to be found is what a person drew."""
    encoder, engine = an_encoder(), ScriptedEngine()
    slices = [*annotated(encoder, range(5, 12)), *annotated(an_encoder(1), (5,))]
    taught = engine.with_adapter(an_adapter(engine, gray=0))  # finds nothing
    found = list(lessons_of_runs(slices, taught, RegionPolicy(), np.random.default_rng(0)))
    assert {one.position for one, _ in found} >= {5, 6, 7, 9, 10, 11}
    for one, lesson in found:
        (memory,) = lesson.memory
        assert int(lesson.mask.sum()) == 120
        assert abs(memory.position) >= 1 and int(memory.mask.sum()) == 120  # nothing found: the known slice is what is remembered
        assert one.encoder is encoder
    assert max(abs(lesson.memory[0].position) for _, lesson in found) >= 3


def test_learning_goes_on_from_what_was_learned_of_the_earlier_volumes(monkeypatch):
    begun, start = [], ScriptedEngine.start_learning

    def watched(engine, given, settings):
        begun.append((engine.adapter, len(given)))
        return start(engine, given, settings)

    monkeypatch.setattr(ScriptedEngine, "start_learning", watched)
    first, second, third = (annotated(an_encoder(seed), range(3, 15)) for seed in range(3))
    before = learned(learn([*first, *second], options=LearningOptions(steps=8))).adapter
    assert before is not None and before.card.volume_count == 2
    begun.clear()
    outcome = learned(learn([*first, *second, *third], options=LearningOptions(steps=8), start=before))
    assert outcome.adapter is not None and outcome.steps == 8  # no step for holding out: the third volume was not known before
    assert [None if one is None else one.tensors["gray"] for one, _ in begun] == [before.tensors["gray"]]
    assert outcome.after["memory"] == 1.0


def test_learning_after_many_volumes_takes_no_more_slices_than_after_ten():
    slices = [one for seed in range(14) for one in annotated(an_encoder(seed), range(4, 26))]
    outcome = learned(learn(slices, options=LearningOptions(steps=4)))
    assert outcome.adapter is not None
    assert (outcome.adapter.card.slice_count, outcome.volumes) == (13 * 22, 13)
    assert outcome.after["memory"] == 1.0


def test_encoding_is_part_of_what_is_told_of_the_way():
    slices = [*annotated(an_encoder(), range(3, 9)), *annotated(an_encoder(1), range(3, 9))]
    count = 12 + 3 * 12
    for options in (LearningOptions(steps=12, hold_out=False), LearningOptions(seconds=0.2, hold_out=False)):
        told = list(learn(slices, options=options))
        assert [one.what for one in told][:count:47] == [f"Learning: slice {number} of {count} encoded" for number in (1, 48)]
        assert [one.done for one in told] == sorted(one.done for one in told)
        assert {one.total for one in told} == {1000}
        assert told[-1].done == 1000
        assert 0 < told[count - 1].done < 1000
