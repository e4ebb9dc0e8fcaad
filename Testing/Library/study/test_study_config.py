"""A study's configuration: what it takes, and what it says about what it does not take."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.nnunet.runs.preparation import Preparation
from SAM2AnnotateLib.nnunet.runs.training_options import TrainingOptions
from SAM2AnnotateLib.simulation.acceptance import Acceptance
from SAM2AnnotateLib.simulation.effort import GestureSeconds
from SAM2AnnotateLib.simulation.workflow import PROMPTS, Workflow
from SAM2AnnotateLib.study.configuration.config import DataConfig, FolderPair, StudyConfig
from SAM2AnnotateLib.study.presets import preset_names, preset_text
from SAM2AnnotateLib.study.records.plain_json import json_text, sha256_of
from SAM2AnnotateLib.yaml_config.yaml_file import parse_yaml, read_yaml

LEAST = {"name": "knee", "data": {"images": "i", "labels": "l", "values": {1: "femur"}}}
CURVES = {"dsc": [0.5, 0.9], "nsd": [0.4, 0.8]}


def _config(**blocks) -> StudyConfig:
    return StudyConfig.from_mapping({**LEAST, **blocks})


def _preset(name: str) -> StudyConfig:
    return StudyConfig.from_mapping(parse_yaml(preset_text(name), name))


def test_name_and_data_are_enough_for_a_study():
    config = _config()
    assert config.data.folders == (FolderPair("i", "l"),) and config.data.values == {1: "femur"}
    assert config.workflow == Workflow("study") and config.effort == GestureSeconds()
    assert config.scenarios == () and config.models == ()


def test_a_key_without_a_value_has_its_default():
    config = _config(axis=None, effort=None, calibration=None, compute={"workers": None})
    assert config == _config()


def test_scenarios_are_those_of_the_targets_behind_the_one_without_edits():
    config = _config(calibration={**CURVES, "targets": {"few": 0.1, "many": 0.5}}, downstream={"channel": "MR"})
    assert config.scenarios == ("none", "few", "many")
    assert config.models == ("reference", "none", "few", "many")


def test_thresholds_are_a_list_or_steps_that_meet_both_ends():
    calibration = _config(calibration={"dsc": {"first": 0.9, "last": 0.995, "step": 0.005}, "nsd": [0.1, 0.7]}).calibration
    assert calibration.nsd == (0.1, 0.7)
    assert len(calibration.dsc) == 20 and calibration.dsc[:3] == (0.9, 0.905, 0.91) and calibration.dsc[-1] == 0.995


def test_workflows_and_rules_of_a_comparison_are_read():
    comparison = _config(
        comparison={"workflows": [{"name": "ours"}, {"name": "wide", "roi": 20}], "rules": [{"dsc": 0.8}, {"dsc": 0.8, "nsd": 0.5}]}
    ).comparison
    assert comparison.workflows == (Workflow("ours"), Workflow("wide", roi="20"))
    assert comparison.rules == (Acceptance(0.8), Acceptance(0.8, 0.5))


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"calibraton": CURVES}, r"The configuration: unknown key 'calibraton'. Did you mean 'calibration'\? Known keys: name, data, axis"),
        ({"calibration": {**CURVES, "jont": 1}}, r"calibration: unknown key 'jont'. Did you mean 'joint'\? Known keys: dsc, nsd, targets"),
        ({"data": {"image": "i"}}, r"data: unknown key 'image'. Did you mean 'images'\?"),
        ({"workflow": {"qqq": 1}}, r"workflow: unknown key 'qqq'. Known keys: name, method"),
        ({"name": 7}, r"name: expected text, got 7 \(a whole number\). Put it in quotes"),
        ({"seed": True}, r"seed: expected a whole number, got True \(a truth value\)"),
        ({"tolerance_mm": "1e-3"}, r"tolerance_mm: expected a number, got '1e-3' \(text\). YAML takes 1e-3 for text"),
        ({"tolerance_mm": float("nan")}, r"tolerance_mm: expected a number, got nan"),
        ({"objects": {"separate": "yes"}}, r"objects.separate: expected true or false, got 'yes'"),
        ({"prompts": "box"}, r"prompts: expected a list, got 'box'"),
        ({"prompts": ["box", "lasso"]}, r"'prompts' lists each of box, dot, .* got box, lasso"),
        ({"prompts": ["box", "box"]}, r"once at most, got box, box"),
        ({"objects": [1]}, r"objects: expected a block of 'key: value' lines, got \[1\] \(a list\)"),
        ({"axis": "l"}, r"Unknown axis 'l': expected one of i, j, k"),
        ({"window": "bright"}, r"Unknown window 'bright'"),
        ({"window": [1]}, r"window: expected a lower and an upper number"),
        ({"effort": {"box": -1}}, r"effort: Seconds of gestures: 'box' must be a number of 0 or more"),
        ({"workflow": {"method": "magic"}}, r"workflow: Unknown method 'magic'"),
        ({"model": {"image_size": 500}}, r"model: The model's image size is a multiple of 32, got 500"),
        ({"calibration": {"dsc": [0.5, 0.9]}}, r"calibration lacks 'nsd'"),
        ({"calibration": {**CURVES, "dsc": [0.9, 0.5]}}, r"calibration: 'dsc' must rise from one to the next .* got 0.9, 0.5"),
        ({"calibration": {**CURVES, "dsc": [0.9]}}, r"calibration: 'dsc' needs at least two values"),
        ({"calibration": {**CURVES, "dsc": {"first": 0.5, "last": 0.9, "step": 0.15}}}, r"calibration.dsc: steps of 0.15 from 0.5 do"),
        ({"calibration": {**CURVES, "targets": {"low": 0.4, "high": 0.2}}}, r"'targets' must rise"),
        ({"calibration": {**CURVES, "targets": {"None": 0.4}}}, r"A scenario cannot be called 'None': 'none' has another use"),
        ({"calibration": {**CURVES, "targets": {"a/b": 0.4}}}, r"'a/b' cannot name a scenario"),
        ({"calibration": {**CURVES, "joint": "both"}}, r"Unknown rule 'both' for 'joint': expected one of as_published, to_target"),
        ({"comparison": {"workflows": [{"name": "a"}, {"name": "A"}], "rules": [{}]}}, r"A workflow cannot be called 'A'"),
        ({"comparison": {"workflows": [{"name": "a"}, {}], "rules": [{}]}}, r"comparison.workflows\[2\] lacks 'name'"),
        ({"comparison": {"workflows": [{"name": "a"}], "rules": [{"dsc": 2}]}}, r"comparison.rules\[1\]: Thresholds of DSC and NSD"),
        ({"comparison": {"workflows": [{"name": "a"}], "rules": [{}, {}]}}, r"Two rules of acceptance are the same"),
        ({"downstream": {"channel": "MR"}}, r"'downstream' trains on the labels of scenarios, which come from 'calibration'"),
        ({"calibration": CURVES, "downstream": {}}, r"downstream lacks 'channel'"),
        ({"calibration": CURVES, "downstream": {"channel": "MR", "epochs": 0}}, r"downstream: Epochs: expected a whole number of 1"),
        ({"calibration": CURVES, "downstream": {"channel": "MR", "data_set_number": 996}}, r"5 data sets from number 996 on go beyond"),
        ({"calibration": CURVES, "downstream": {"channel": "MR", "margin_mm": 2}}, r"downstream: A margin of 2 mm was given, but nothing"),
        ({"compute": {"workers": 0}}, r"compute: Expected 'auto' or 1 and more workers, got 0"),
        ({"compute": {"workers": "many"}}, r"compute.workers: expected a whole number or auto, got 'many'"),
        ({"data": {"values": {1: "a"}}}, r"data: Give either 'table', or 'images' and 'labels'"),
        ({"data": {"images": "i", "values": {1: "a"}}}, r"data lacks 'labels'"),
        ({"data": {"images": "i", "labels": "l", "table": "t"}}, r"data: Give either 'table', or"),
        ({"data": {"images": "i", "labels": "l", "folders": []}}, r"data: 'images' and 'labels' beside 'folders' say it twice"),
        ({"data": {"images": "i", "labels": "l"}}, r"data: 'values' names no label value"),
        ({"data": {"images": "i", "labels": "l", "values": {0: "a"}}}, r"data: Label values are whole numbers of 1 or more .* got 0"),
        ({"data": {"images": "i", "labels": "l", "values": {"x": "a"}}}, r"data.values: expected label values .* got 'x' \(text\)"),
        ({"data": {"images": "i", "labels": "l", "values": {1: "a", 2: "A"}}}, r"data: A label cannot be called 'a': the name"),
        ({"data": {"images": "i", "labels": "l", "values": {1: "a"}, "test_share": 1}}, r"Expected a 'test_share' from 0 to below 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(blocks, message):
    with pytest.raises(InputError, match=message):
        _config(**blocks)


def test_a_study_without_data_lacks_it():
    with pytest.raises(InputError, match="The configuration lacks 'data'"):
        StudyConfig.from_mapping({"name": "a"})


def test_paths_are_relative_to_the_study(tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"")
    config = _config(model={"checkpoint": "mine.pt"}, calibration=CURVES, downstream={"channel": "CT", "crop_to": "livers"})
    found = config.resolved(tmp_path)
    assert found.model.checkpoint == str((tmp_path / "mine.pt").resolve())
    assert found.downstream.crop_to == (tmp_path / "livers").resolve()
    assert _config().resolved(tmp_path).model.checkpoint == "bundled"


def test_downstream_options_are_those_of_nnunet():
    block = {"channel": "CT", "folds": "all", "epochs": 12, "window": [-55, 155], "crop_to": "livers", "margin_mm": 2.5}
    options = _config(calibration=CURVES, downstream=block).downstream.training_options()
    assert options == TrainingOptions(folds=("all",), epochs=12, preparation=Preparation((-55.0, 155.0), True, 2.5))


# Presets


def test_the_femur_preset_is_the_paper():
    config = _preset("misera-femur")
    assert (config.axis, config.window, config.tolerance_mm, config.correction_mm) == ("sagittal", "mr", 1.0, 1.0)
    assert (config.model.checkpoint, config.model.precision, config.model.image_size) == ("sam2_hiera_tiny", "fp32", 1024)
    assert config.workflow == Workflow("study", roi="full") and config.data.test_share == 0.4
    assert (config.calibration.dsc[0], config.calibration.dsc[-1]) == (0.90, 0.995)
    assert (config.calibration.nsd[0], config.calibration.nsd[-1]) == (0.70, 0.99)
    assert config.calibration.targets == {"low": 0.2, "moderate": 0.4, "high": 0.6} and config.calibration.joint == "as_published"
    assert not config.objects.separate
    assert config.downstream.training_options() == TrainingOptions.study() and config.downstream.channel != "CT"


def test_the_liver_preset_is_the_paper():
    config = _preset("misera-liver")
    assert (config.axis, config.window, config.tolerance_mm, config.correction_mm) == ("axial", "-55,155", 1.0, 1.0)
    assert config.objects.separate and config.workflow.roi == "full" and config.data.test_share == 0.4
    assert (config.calibration.dsc[0], config.calibration.dsc[-1]) == (0.30, 0.95)
    assert (config.calibration.nsd[0], config.calibration.nsd[-1]) == (0.10, 0.90)
    assert config.downstream.training_options() == TrainingOptions.study(preparation=Preparation((-55.0, 155.0), True))
    assert config.downstream.channel == "CT"


def test_the_mini_study_has_every_part_that_a_study_can_have_but_a_comparison():
    config = _preset("mini-hippocampus")
    assert config.prompts == PROMPTS and config.data.values == {1: "anterior", 2: "posterior"} and config.workflow.roi == "auto"
    assert config.calibration.joint == "to_target" and config.comparison is None and config.model.checkpoint == "bundled"
    options = config.downstream.training_options()
    assert (options.epochs, options.iterations_per_epoch, options.validation_iterations, options.folds) == (10, 25, 3, ("all",))
    assert (options.device, options.processes, options.seed, options.checkpoint_every, options.mirroring) == ("cpu", 1, 0, 1, False)


def test_the_comparison_differs_from_the_paper_in_nothing_but_the_workflow():
    config = _preset("comparison")
    flows = {flow.name: flow for flow in config.comparison.workflows}
    assert list(flows) == ["ours", "ours-doubtful", "ours-together", "paper", "slice_boxes", "box_tracking", "interpolation"]
    assert flows["paper"] == Workflow("paper", roi="full", corrections="stock") and flows["ours-doubtful"].order == "doubtful"
    assert flows["ours-together"] == Workflow("ours-together", together=0.9)
    assert config.comparison.rules == (Acceptance(0.8), Acceptance(0.9), Acceptance(0.8, 0.5), Acceptance(0.9, 0.7))
    assert config.calibration is None and config.downstream is None


def test_the_learning_preset_has_all_four_blocks():
    config = _preset("learning")
    assert config.corrections_saved is not None and config.corrections_saved.volumes == 6
    assert config.corrections_saved.learn_after == (3, 5)
    assert config.prompt_learning is not None and config.prompt_learning.slices == (2, 5)
    assert config.auto_prompts is not None and config.prototypes is not None
    assert config.calibration is None and config.downstream is None


def test_the_crowd_preset_asks_for_one_to_seven_people_and_every_step():
    config = _preset("crowd")
    assert config.crowd is not None and config.crowd.largest == 7
    assert {setting.every for setting in config.crowd.settings} == {1, 2, 4, 8}
    assert config.calibration is None and config.downstream is None


@pytest.mark.parametrize("name", preset_names())
def test_every_block_of_a_preset_is_explained(name):
    lines = preset_text(name).splitlines()
    assert max(map(len, lines)) <= 140
    begins = [n for n, line in enumerate(lines) if re.match(r"[a-z]+:$", line)]
    ends = [*begins[1:], len(lines)]
    silent = [lines[n] for n, end in zip(begins, ends, strict=True) if not any("# " in line for line in lines[n - 1 : end])]
    assert begins and silent == []


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(
        InputError, match="Unknown preset 'knee': expected one of comparison, crowd, learning, mini-hippocampus, misera-femur, misera-liver"
    ):
        preset_text("knee")


# YAML and JSON


def test_yaml_gives_plain_values(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("\ufeffname: knee\nvalues: {1: femur}\nwindow: -55,155\n", encoding="utf-8")
    assert read_yaml(path) == {"name": "knee", "values": {1: "femur"}, "window": "-55,155"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "'here', line 3: the key 'a' stands in line 1 already"),
        ("top:\n  x: 1\n  x: 2\n", "'here', line 3: the key 'x' stands in line 2 already"),
        ("a: [1, 2\nb: 3\n", "'here', line 2: this is no YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "'here', line 1: this is no YAML: could not determine a constructor"),
        ("a: \x00\n", "'here': this is no YAML"),
    ],
)
def test_yaml_that_is_none_is_refused_with_its_line(text, message):
    with pytest.raises(InputError, match=message):
        parse_yaml(text, "here")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match="Cannot read .*none.yaml"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(InputError, match=r"no text in UTF-8 \(byte 9\)"):
        read_yaml(tmp_path / "latin.yaml")


def test_json_has_no_nan_and_takes_what_numpy_gives():
    value = {"a": np.float32(0.5), 2: [np.nan, float("inf")], "c": np.arange(2), "d": Path("x") / "y", "e": Acceptance(0.5)}
    assert json_text(value) == '{"a": 0.5, "2": [null, null], "c": [0, 1], "d": "x/y", "e": {"dsc": 0.5, "nsd": 0.0}}'


def test_equal_content_has_an_equal_hash_whatever_the_order():
    one, other = DataConfig.from_mapping(LEAST["data"]), DataConfig(folders=(FolderPair("i", "l"),), values={1: "femur"})
    assert sha256_of({"a": one, "b": 1}) == sha256_of({"b": 1, "a": other})
    assert sha256_of({"a": 1}) != sha256_of({"a": 2})
    assert sha256_of({"b": [1, None], "a": "é"}) == hashlib.sha256(rb'{"a":"\u00e9","b":[1,null]}').hexdigest()
