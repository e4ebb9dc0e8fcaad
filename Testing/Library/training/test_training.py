"""Training: the patients it may use, the clips it draws, one loop that learns, resumes and exports."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")
pytest.importorskip("scipy")

from SAM2AnnotateLib.training.clips import draw_clip  # noqa: E402
from SAM2AnnotateLib.training.evaluation import OTHER_OBJECTS, TARGET_OBJECTS  # noqa: E402
from SAM2AnnotateLib.training.export import write_weights  # noqa: E402
from SAM2AnnotateLib.training.labeled_volume import LabeledVolume, connected_objects  # noqa: E402
from SAM2AnnotateLib.training.losses import slice_loss  # noqa: E402
from SAM2AnnotateLib.training.prompts import draw_point_prompts  # noqa: E402
from SAM2AnnotateLib.training.real_cases import TRAINING_CASES, found_objects, load_training_cases  # noqa: E402
from SAM2AnnotateLib.training.synthetic import SHAPE_SRC, synthetic_volume  # noqa: E402
from SAM2AnnotateLib.training.train import Stage, Trainer  # noqa: E402

# One patient may have several cases: CT and MR of a sarcoma patient carry the same number.
HELD_OUT_PATIENTS = ("liver_chaos", "sarcoma_003", "cardiac_3", "lung_elastix", "ct_abdomen_ts", "brain_001", "hippo")
ALLOWED_LICENSES = ("Apache-2.0", "CC0-1.0", "CC-BY-3.0", "MIT", "BSD-3-Clause")


def test_no_patient_of_the_evaluation_is_trained_on_and_every_license_allows_it():
    for case in TRAINING_CASES:
        assert not any(patient in case.name for patient in HELD_OUT_PATIENTS), case.name
        assert case.license in ALLOWED_LICENSES, case
    for name, _, _ in (*TARGET_OBJECTS, *OTHER_OBJECTS):
        assert name not in {case.name for case in TRAINING_CASES}


def test_cases_are_read_with_their_labels_and_with_objects_found_in_the_image(tmp_path):
    from SAM2AnnotateLib.geometry import Volume, VolumeGrid
    from SAM2AnnotateLib.training.real_cases import TrainingCase
    from SAM2AnnotateLib.volume_io import write_volume

    rng = np.random.default_rng(0)
    voxels = rng.normal(-900, 20, (12, 50, 60))
    voxels[2:10, 15:35, 20:45] = rng.normal(80, 20, (8, 20, 25))
    labels = np.zeros(voxels.shape, dtype=np.uint8)
    labels[2:10, 15:35, 20:45] = 7
    grid = VolumeGrid(voxels.shape, np.diag([-1.0, -1.0, 3.0, 1.0]))
    (tmp_path / "a_case").mkdir()
    write_volume(Volume(grid, voxels.astype(np.float32)), tmp_path / "a_case" / "image.nii.gz")
    write_volume(Volume(grid, labels), tmp_path / "a_case" / "label.nii.gz")
    drawn, found = load_training_cases(tmp_path, (TrainingCase("a_case", "CC0-1.0", True, 1.0),))
    assert drawn.axes == (0,) and [len(item.positions) for item in drawn.objects[0]] == [8]
    inside = [np.count_nonzero((found.components == n) & (labels > 0)) for n in range(1, found.components.max() + 1)]
    best = 1 + int(np.argmax(inside))
    assert inside[best - 1] > 0.25 * np.count_nonzero(labels), "a bright block in air is found without its label"
    assert inside[best - 1] > 0.95 * np.count_nonzero(found.components == best), "and nothing of the air with it"


def test_parts_of_one_label_are_objects_of_their_own_and_specks_are_left_out():
    labels = np.zeros((6, 30, 30), dtype=np.int32)
    labels[:, 2:10, 2:10] = 3
    labels[:, 20:28, 20:28] = 3
    labels[0, 15, 15] = 3
    components = connected_objects(labels)
    assert sorted(np.bincount(components.ravel())[1:].tolist()) == [384, 384]


def test_found_objects_are_neither_specks_nor_the_whole_volume():
    rng = np.random.default_rng(1)
    frames = rng.normal(0, 1, (10, 40, 40)).astype(np.float32)
    frames[:, 10:30, 10:30] += 50
    labels = found_objects(frames, (1.0, 1.0, 1.0))
    shares = np.bincount(labels.ravel())[1:] / labels.size
    assert shares.size and shares.max() <= 0.25 and shares.min() >= 0.0005


def test_a_synthetic_volume_is_the_same_for_the_same_seed_and_has_several_objects():
    one, again, other = (synthetic_volume(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one.frames.shape == SHAPE_SRC and one.frames.dtype == np.uint8
    assert np.array_equal(one.frames, again.frames) and not np.array_equal(one.frames, other.frames)
    assert len(one.objects[0]) >= 3


def test_a_clip_follows_one_object_and_shows_it_on_its_first_slice():
    labels = np.zeros((12, 60, 60), dtype=np.int32)
    for k in range(12):
        labels[k, 20:40, 10 + 2 * k : 30 + 2 * k] = 1
    frames = np.where(labels > 0, 200, 40).astype(np.uint8)
    volume = LabeledVolume("moving block", frames, labels, (3.0, 1.0, 1.0))
    rng = np.random.default_rng(0)
    for _ in range(20):
        clip = draw_clip(rng, [volume], np.array([1.0]), 4, 64)
        assert clip.images.shape == clip.masks.shape == (4, 64, 64)
        assert clip.masks[0].sum() >= 20
        inside, outside = clip.images[0][clip.masks[0]].mean(), clip.images[0][~clip.masks[0]].mean()
        assert abs(inside - outside) > 10


def test_box_prompts_stay_within_the_jitter_and_clicks_on_their_side():
    mask = torch.zeros(30, 64, 64, dtype=torch.bool)
    mask[:, 20:40, 10:50] = True
    prompts = draw_point_prompts(np.random.default_rng(0), mask)
    kinds = set()
    for coords, labels in zip(prompts["point_coords"].numpy(), prompts["point_labels"].numpy(), strict=True):
        if labels[0] == 2:
            kinds.add("box")
            assert np.abs(coords[0] - [10, 20]).max() <= 40 * 0.15 * 1.5 and np.abs(coords[1] - [50, 40]).max() <= 40 * 0.15 * 1.5
        for (x, y), label in zip(coords, labels, strict=True):
            if label in (0, 1):
                kinds.add("click")
                assert bool(mask[0, int(y), int(x)]) == bool(label)
    assert kinds == {"box", "click"}


def test_the_loss_is_lowest_for_the_truth_and_survives_a_denied_object():
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[:, 16:48, 16:48] = True
    right = torch.where(masks[:, None, ::4, ::4], 10.0, -10.0)
    sure = torch.full((2, 1), 5.0)
    best, dice = slice_loss(right, torch.ones(2, 1), sure, masks)
    inverted, _ = slice_loss(-right, torch.ones(2, 1), sure, masks)
    denied, none = slice_loss(torch.full_like(right, -1024.0), torch.ones(2, 1), -sure, masks)
    assert best < 0.05 < inverted and torch.isfinite(denied) and denied < inverted + 50
    assert dice.tolist() == [1.0, 1.0] and none.tolist() == [0.0, 0.0]
    absent, nothing = slice_loss(-right, torch.ones(2, 1), -sure, torch.zeros_like(masks))
    assert torch.isfinite(absent) and nothing.isnan().all()


def test_training_learns_resumes_and_exports_weights_that_load(tmp_path):
    stages = (Stage(steps=3, size=64, clips=2, lengths=(1,)), Stage(steps=2, size=96, clips=1, lengths=(3,)))
    trainer = Trainer([], tmp_path / "run", stages, pool=2)
    before = trainer.model.sam_mask_decoder.iou_token.weight.detach().clone()
    trainer.run(save_every=1, log_every=1)
    assert not torch.equal(before, trainer.model.sam_mask_decoder.iou_token.weight)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2, 3, 4, 5] and log[-1]["size"] == 96
    longer = (*stages, Stage(steps=1, size=96, clips=1, lengths=(4,)))
    resumed = Trainer([], tmp_path / "run", longer, pool=2)
    assert resumed.step == 5 and resumed.model.image_size == 96
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])
    resumed.run(save_every=1, log_every=1)
    assert resumed.step == 6
    write_weights(tmp_path / "run" / "state.pt", tmp_path / "new.safetensors")
    from SAM2AnnotateLib.engine import load_engine

    engine = load_engine(tmp_path / "new.safetensors", device="cpu")
    assert engine.image_size == 256 and engine.encode(np.zeros((40, 30), dtype=np.uint8)).nbytes > 0


def test_an_interrupted_save_leaves_the_last_state(tmp_path, monkeypatch):
    trainer = Trainer([], tmp_path / "run", (Stage(steps=1, size=64, clips=1, lengths=(1,)),), pool=1)
    trainer.run()
    content = (tmp_path / "run" / "state.pt").read_bytes()

    def killed(_state, file):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer._save()
    assert (tmp_path / "run" / "state.pt").read_bytes() == content
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["log.jsonl", "state.pt"]
