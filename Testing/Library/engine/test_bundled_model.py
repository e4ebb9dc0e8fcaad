"""The model that ships: its file, and what it does on the sample case, which it was never trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sam2")

import SAM2AnnotateLib
from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.engine import load_engine
from SAM2AnnotateLib.engine.models.checkpoints import CHECKPOINTS, file_sha256, require_local_file
from SAM2AnnotateLib.metrics import Scores
from SAM2AnnotateLib.simulation import gestures_from_truth
from SAM2AnnotateLib.volume_io import read_volume

SAMPLE = Path(SAM2AnnotateLib.__file__).parent / "sample_data" / "ct_sarcoma_003"


def test_the_weights_are_small_plain_tensors_and_the_registry_knows_their_hash():
    file = require_local_file(CHECKPOINTS["bundled"])
    assert file.suffix == ".safetensors" and file.stat().st_size <= 12_000_000
    assert CHECKPOINTS["bundled"].sha256 == file_sha256(file)
    assert CHECKPOINTS["bundled"].size_bytes == file.stat().st_size
    assert file_sha256(file)[:16] in (file.parent / "README.md").read_text(encoding="utf-8"), "the card speaks of another file"


def test_jittered_boxes_on_the_sample_give_masks_that_experts_would_recognize():
    image, label = read_volume(SAMPLE / "image.nii.gz"), read_volume(SAMPLE / "label.nii.gz")
    truth = label.array_kji != 0
    engine = load_engine("bundled", device="cpu")
    scores = []
    for seed in range(3):
        annotator = Annotator(image, engine)
        gestures = gestures_from_truth(truth, annotator.stack, np.random.default_rng(seed))
        index = annotator.stack.index_of
        extent = (index(gestures.extent.first), index(gestures.extent.last))
        item = annotator.new_object(index(gestures.center), annotator.stack.box_to_indices(gestures.box), extent=extent)
        for _ in item.propagate():
            pass
        scores.append(Scores.of(item.mask_kji(), truth, image.grid.spacing_kji_mm).dsc)
    assert np.mean(scores) >= 0.80, scores


def test_the_demo_writes_mask_report_and_picture_and_prints_a_score(tmp_path, capsys):
    assert main(["demo", "--folder", str(tmp_path / "demo")]) == 0
    printed = capsys.readouterr().out
    dsc = float(printed.split("DSC ")[1].split()[0])
    assert dsc >= 0.80
    mask = read_volume(tmp_path / "demo" / "mask.nii.gz")
    truth = read_volume(SAMPLE / "label.nii.gz")
    mask.grid.require_same(truth.grid, "mask", "truth")
    assert json.loads((tmp_path / "demo" / "report.json").read_text())["prompts"][0]["slice"] == 25
    assert (tmp_path / "demo" / "preview.png").stat().st_size > 10_000
    assert main(["demo", "--folder", str(tmp_path / "demo")]) == 0, "a second run replaces what the first one wrote"
