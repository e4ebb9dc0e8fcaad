"""Plans of data sets: what nnU-Net takes, and which segment belongs where."""

from __future__ import annotations

import json

import pytest
from nnunet_cases import ORGAN, TUMOR, a_plan, a_segment
from patients import an_anisotropic_volume

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.nnunet import DataSetPlan, LabelRule, Region, SplitRule
from SAM2AnnotateLib.nnunet.cases.matching import rule_for
from SAM2AnnotateLib.nnunet.cases.plan import channel_name, read_plan, write_plan

THREE = (LabelRule(1, "edema"), LabelRule(2, "core"), LabelRule(3, "enhancing"))
REGIONS = (Region("whole", (1, 2, 3)), Region("tumor core", (2, 3)), Region("active", (3,)))


def test_a_plan_comes_back_from_its_file_as_it_was(tmp_path):
    plan = a_plan(labels=THREE, regions=REGIONS, ignore=True, unreviewed="ignore", overlap="earlier", split=SplitRule(4, 0.4, 9))
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan


def test_a_person_need_not_write_what_has_a_default():
    stored = {"number": 3, "name": "Knee", "channels": ["T1"], "labels": [{"value": 1, "name": "femur"}]}
    assert DataSetPlan.from_json(stored) == DataSetPlan(3, "Knee", ("T1",), (LabelRule(1, "femur", ("femur",)),))


def test_regions_are_written_as_nnunet_reads_them():
    plan = a_plan(labels=THREE, regions=REGIONS, ignore=True)
    assert plan.nnunet_labels() == {"background": 0, "whole": [1, 2, 3], "tumor core": [2, 3], "active": 3, "ignore": 4}
    assert plan.class_order == (1, 2, 3)


def test_labels_are_written_by_value_whatever_their_order():
    plan = a_plan(labels=(TUMOR, ORGAN))
    assert list(plan.nnunet_labels().items()) == [("background", 0), ("organ", 1), ("tumor", 2)]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"labels": (LabelRule(1, "a"), LabelRule(3, "b"))}, "without a gap.*got \\[1, 3\\]"),
        ({"labels": (LabelRule(0, "a"),)}, "without a gap"),
        ({"labels": (LabelRule(1, "a"), LabelRule(1, "b"))}, "without a gap"),
        ({"labels": ()}, "without a gap"),
        ({"labels": (LabelRule(1, "a"), LabelRule(2, "A"))}, "Two labels are called 'A'"),
        ({"labels": (LabelRule(1, "ignore"),)}, "another use"),
        ({"labels": (LabelRule(1, "Background"),)}, "another use"),
        ({"number": 0}, "from 1 to 999, got 0"),
        ({"number": 1000}, "from 1 to 999"),
        ({"name": "a/b"}, "letters, digits"),
        ({"channels": ()}, "at least one channel"),
        ({"channels": ("T1", "t1")}, "Two channels"),
        ({"channels": "CT"}, "'channels' of a plan is a list"),
        ({"file_ending": ".nii"}, "Unknown file ending '.nii'"),
        ({"overlap": "both"}, "Unknown overlap rule 'both'"),
        ({"unreviewed": "maybe"}, "Unknown rule for unreviewed"),
        ({"unreviewed": "ignore"}, "only in a data set that has one"),
        ({"split": SplitRule(folds=1)}, "at least 2 folds"),
        ({"split": SplitRule(test_share=1.0)}, "test share"),
        ({"regions_class_order": (1,)}, "there are no regions"),
        ({"regions": (Region("all", (1,)),)}, "hold \\[1\\], the labels \\[1, 2\\]"),
        ({"regions": (Region("a", (1,)), Region("b", (2,)))}, "plain labels say the same"),
        ({"regions": (Region("a", (1, 2)), Region("a", (2,)))}, "Two regions"),
        ({"regions": (Region("a", (2,)), Region("b", (1, 2)))}, "larger regions before"),
        ({"regions": (Region("a", (1, 2)), Region("b", (2,))), "regions_class_order": (1, 1)}, "one of its values"),
        ({"regions": (Region("a", (1, 2)), Region("b", (2,))), "regions_class_order": (1,)}, "one of its values"),
    ],
)
def test_what_nnunet_does_not_take_is_refused(changes, complaint):
    with pytest.raises(InputError, match=complaint):
        a_plan(**changes)


@pytest.mark.parametrize("text", ["", "[]", '{"name": "x"}', '{"number": 1, "name": "x", "channels": ["CT"], "labels": [1]}', "{"])
def test_a_file_that_is_no_plan_is_refused_by_name(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(InputError, match="plan.json"):
        read_plan(tmp_path / "plan.json")


def test_a_plan_of_another_format_or_with_an_unknown_field_is_refused():
    stored = a_plan().to_json()
    with pytest.raises(InputError, match="format 99"):
        DataSetPlan.from_json({**stored, "format": 99})
    with pytest.raises(InputError, match="colour"):
        DataSetPlan.from_json({**json.loads(json.dumps(stored)), "colour": 1})


def test_a_terminology_code_without_its_scheme_is_refused():
    with pytest.raises(InputError, match="Expected SCHEME:VALUE"):
        LabelRule(1, "liver", codes=("10200004",))


@pytest.mark.parametrize(
    ("modality", "sequence", "name"),
    [("CT", "portal", "CT"), ("MR", "T1", "T1"), ("MR", "", "MR"), (None, " T2 ", "T2"), (None, "", "image")],
)
def test_a_channel_is_named_by_modality_so_that_ct_is_normalized_as_ct(modality, sequence, name):
    assert channel_name(modality, sequence) == name


KIDNEYS = (
    LabelRule(1, "kidney left", codes=("SCT:64033007+SCT:7771000",)),
    LabelRule(2, "kidney", ("kidney*",), ("SCT:64033007",)),
    LabelRule(3, "cyst", ("kidney cyst",)),
    LabelRule(4, "spot", ("[x]?",)),
)


@pytest.mark.parametrize(
    ("name", "codes", "value"),
    [
        ("KIDNEY CYST ", ("SCT:64033007+SCT:7771000",), 3),  # a name as it stands before every code
        ("left", ("SCT:64033007+SCT:7771000",), 1),  # a code with its side before the code alone
        ("right", ("SCT:64033007+SCT:24028007",), 2),
        ("Kidney stone", (), 2),
        ("kidney left", (), 2),  # the first rule goes by code alone: it does not match by its own name
        ("[x]1", (), 4),  # brackets stand for themselves
        ("x1", (), None),
        ("Liver", ("SCT:10200004",), None),
    ],
)
def test_a_segment_finds_its_label_by_name_code_or_pattern(name, codes, value):
    plan = a_plan(labels=KIDNEYS)
    segment = a_segment(name, an_anisotropic_volume().grid, (0, 0, 0), (1, 1, 1), codes=codes)
    found = rule_for(segment, plan)
    assert (found.value if found else None) == value


def test_a_segment_that_fits_two_labels_equally_well_is_refused():
    plan = a_plan(labels=(LabelRule(1, "a", ("tumor*",)), LabelRule(2, "b", ("*one",))))
    with pytest.raises(InputError, match="'tumor one' fits the labels 'a' and 'b'"):
        rule_for(a_segment("tumor one", an_anisotropic_volume().grid, (0, 0, 0), (1, 1, 1)), plan)
