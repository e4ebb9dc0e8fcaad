"""The cases of a study: pairs of files, tables, parts, and digests that notice a change."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.study.configuration.config import StudyConfig
from SAM2AnnotateLib.study.records.cases import find_cases
from SAM2AnnotateLib.study.records.digests import FileDigests


def _files(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())


def _of_folders(base, share=0.0, **blocks):
    data = {"images": "images", "labels": "labels", "values": {1: "femur"}, "test_share": share}
    return find_cases(StudyConfig.from_mapping({"name": "s", "data": data, **blocks}), base)


def _of_table(base, text, values=None, **blocks):
    (base / "tables").mkdir(exist_ok=True)
    (base / "tables" / "cases.csv").write_text(text, encoding="utf-8")
    _files(base / "tables" / "v", "a.nii.gz", "b.nii.gz", "c.nii.gz", "l.nii.gz")
    data = {"table": "tables/cases.csv", **({"values": values} if values else {})}
    return find_cases(StudyConfig.from_mapping({"name": "s", "data": data, **blocks}), base)


def test_files_of_the_same_name_are_a_case_whatever_their_ending(tmp_path):
    _files(tmp_path / "images", "k2.nii.gz", "k1.NRRD", "readme.txt", ".hidden.nii")
    _files(tmp_path / "labels", "k2.nii.gz", "k1.mha")
    first, second = _of_folders(tmp_path, axis="sagittal", window="mr")
    assert (first.case_id, first.patient, first.part, first.axis, first.window) == ("k1", "k1", "train", "sagittal", "mr")
    assert first.image.name == "k1.NRRD" and first.labels == (tmp_path / "labels" / "k1.mha").resolve() and first.values == {1: "femur"}
    assert second.case_id == "k2"


def test_several_pairs_of_folders_make_one_study(tmp_path):
    for name in ("lits", "clm"):
        _files(tmp_path / name / "i", f"{name}.nii.gz")
        _files(tmp_path / name / "l", f"{name}.nii.gz")
    folders = [{"images": f"{name}/i", "labels": f"{name}/l"} for name in ("lits", "clm")]
    config = StudyConfig.from_mapping({"name": "s", "data": {"folders": folders, "values": {2: "tumor"}}})
    assert [case.case_id for case in find_cases(config, tmp_path)] == ["clm", "lits"]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (["a.nii.gz", "b.nii.gz"], ["a.nii.gz"], r"b.nii.gz: no file of the same name in '.*labels'"),
        (["a.nii.gz"], ["a.nii.gz", "b.nii"], r"b.nii: no file of the same name in '.*images'"),
        ([f"{n}.nii" for n in range(7)], [], r"0.nii, 1.nii, 2.nii, 3.nii, 4.nii and 2 more: no file of the same name"),
        (["a.nii.gz", "a.mha"], ["a.nii.gz"], r"holds a.mha and a.nii.gz, which would be one case"),
        (["a b.nii.gz"], ["a b.nii.gz"], r"'a b' cannot be a case's id"),
        (["a.nii.gz", "A.nii.gz"], ["a.nii.gz", "A.nii.gz"], r"Two cases are called"),
        ([], [], r"The study has no case"),
    ],
)
def test_folders_that_do_not_pair_are_refused(tmp_path, images, labels, message):
    _files(tmp_path / "images", *images)
    _files(tmp_path / "labels", *labels)
    if len(list((tmp_path / "images").iterdir())) < len(images):
        pytest.skip("this file system takes a.nii.gz and A.nii.gz for one")
    with pytest.raises(InputError, match=message):
        _of_folders(tmp_path)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match="The folder '.*images' does not exist. Name it in study.yaml under 'data'"):
        _of_folders(tmp_path)


def test_a_table_says_more_of_a_case_and_its_paths_are_relative_to_it(tmp_path):
    text = (
        "\ufeffcase, image,label,patient,part,axis,window,values\n"
        'two,v/a.nii.gz,v/l.nii.gz,p,test,axial,"-55,155",1\n'
        "one,v/b.nii.gz,v/l.nii.gz,,,,,\n"
    )
    one, two = _of_table(tmp_path, text, {1: "liver", 2: "tumor"}, axis="k", window="mr")
    assert (one.case_id, one.patient, one.part, one.axis, one.window) == ("one", "one", "train", "k", "mr")
    assert one.values == {1: "liver", 2: "tumor"} and one.image == (tmp_path / "tables" / "v" / "b.nii.gz").resolve()
    assert (two.patient, two.part, two.axis, two.window, two.values) == ("p", "test", "axial", "-55,155", {1: "liver"})


def test_a_case_can_name_its_own_values(tmp_path):
    text = "case,image,label,values\na,v/a.nii.gz,v/l.nii.gz,1=cavity;2=muscle\nb,v/b.nii.gz,v/l.nii.gz,1 = liver\n"
    first, second = _of_table(tmp_path, text)
    assert first.values == {1: "cavity", 2: "muscle"} and second.values == {1: "liver"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,image,labels\n", r"unknown key 'labels'. Did you mean 'label'\?"),
        ("case,image\n", r"lacks the column label. Expected case, image and label"),
        ("case,image,label\na,v/a.nii.gz\n", r"line 2: expected 3 fields"),
        ("case,image,label\na,v/a.nii.gz,v/l.nii.gz,x\n", r"line 2: expected 3 fields"),
        ("case,image,label\na,v/a.nii.gz,v/l.nii.gz\n,v/a.nii.gz,v/l.nii.gz\n", r"line 3: the field case is empty"),
        ("case,image,label\na,v/x.nii.gz,v/l.nii.gz\n", r"line 2: the image '.*x.nii.gz' of case 'a' does not exist"),
        ("case,image,label\na,v/a.nii.gz,v\n", r"line 2: the label map '.*v' of case 'a' does not exist"),
        ("case,image,label,part\na,v/a.nii.gz,v/l.nii.gz,both\n", r"line 2: unknown part 'both', expected train, test or auto"),
        ("case,image,label,axis\na,v/a.nii.gz,v/l.nii.gz,up\n", r"line 2: Unknown axis 'up'"),
        ("case,image,label,window\na,v/a.nii.gz,v/l.nii.gz,up\n", r"line 2: Unknown window 'up'"),
        ("case,image,label,values\na,v/a.nii.gz,v/l.nii.gz,one\n", r"line 2: expected label values such as 1;2 .* got 'one'"),
        ("case,image,label,values\na,v/a.nii.gz,v/l.nii.gz,7\n", r"line 2: the label value 7 has no name. Name it in study.yaml"),
        ("case,image,label,values\na,v/a.nii.gz,v/l.nii.gz,1;1\n", r"line 2: the label value 1 is there twice"),
        ("case,image,label,values\na,v/a.nii.gz,v/l.nii.gz,1=knee\n", r"line 2: the label value 1 is called 'knee' here, and 'femur' in"),
        ("case,image,label,values\na,v/a.nii.gz,v/l.nii.gz,0=knee\n", r"line 2: Label values are whole numbers of 1 or more"),
        ("case,image,label\na,v/a.nii.gz,v/l.nii.gz\na,v/b.nii.gz,v/l.nii.gz\n", r"Two cases are called 'a'"),
        ("case,image,label\n", r"The study has no case"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        _of_table(tmp_path, text, {1: "femur"})


def test_a_table_without_any_value_is_refused(tmp_path):
    with pytest.raises(InputError, match="no label values are told"):
        _of_table(tmp_path, "case,image,label\na,v/a.nii.gz,v/l.nii.gz\n")


def test_a_patients_cases_are_never_parted(tmp_path):
    lines = [f"c{n},v/a.nii.gz,v/l.nii.gz,p{n // 2}" for n in range(20)]
    cases = _of_table(tmp_path, "\n".join(["case,image,label,patient", *lines]), {1: "femur"})
    assert {case.part for case in cases} == {"train"}
    config = {"name": "s", "data": {"table": "tables/cases.csv", "values": {1: "femur"}, "test_share": 0.4}}
    cases = find_cases(StudyConfig.from_mapping(config), tmp_path)
    tested = {case.patient for case in cases if case.part == "test"}
    assert len(tested) == 4 and sum(case.part == "test" for case in cases) == 8


def test_a_part_by_hand_holds_for_all_cases_of_the_patient(tmp_path):
    text = "case,image,label,patient,part\na,v/a.nii.gz,v/l.nii.gz,p,test\nb,v/b.nii.gz,v/l.nii.gz,p,\nc,v/c.nii.gz,v/l.nii.gz,q,auto\n"
    assert [case.part for case in _of_table(tmp_path, text, {1: "femur"})] == ["test", "test", "train"]
    with pytest.raises(InputError, match="The patient 'p' is in training and test"):
        _of_table(tmp_path, text.replace("p,\n", "p,train\n"), {1: "femur"})


def test_a_study_with_nnunets_needs_both_parts(tmp_path):
    _files(tmp_path / "images", "a.nii.gz", "b.nii.gz")
    _files(tmp_path / "labels", "a.nii.gz", "b.nii.gz")
    blocks = {"calibration": {"dsc": [0.5, 0.9], "nsd": [0.5, 0.9]}, "downstream": {"channel": "MR"}}
    with pytest.raises(InputError, match="'downstream' needs training and test cases, but all 2 cases are for training"):
        _of_folders(tmp_path, **blocks)
    assert {case.part for case in _of_folders(tmp_path, 0.5, **blocks)} == {"train", "test"}


# Digests


def test_a_digest_is_remembered_until_size_or_time_change(tmp_path):
    file, cache = tmp_path / "a.nii", tmp_path / "cases.json"
    file.write_bytes(b"one")
    expected = hashlib.sha256(b"one").hexdigest()
    assert FileDigests(cache).digest(file) == expected
    stored = json.loads(cache.read_text(encoding="utf-8"))
    assert stored == [str(file), 3, file.stat().st_mtime_ns, expected]
    cache.write_text(json.dumps([*stored[:3], "remembered"]) + "\n", encoding="utf-8")
    assert FileDigests(cache).digest(file) == "remembered"
    os.utime(file, ns=(1, 1))
    assert FileDigests(cache).digest(file) == expected
    file.write_bytes(b"other")
    assert FileDigests(cache).digest(file) == hashlib.sha256(b"other").hexdigest()


def test_two_processes_do_not_take_each_others_digests_away(tmp_path):
    _files(tmp_path, "a", "b")
    first, second = FileDigests(tmp_path / "cases.json"), FileDigests(tmp_path / "cases.json")
    first.digest(tmp_path / "a")
    second.digest(tmp_path / "b")
    stored = [json.loads(line) for line in (tmp_path / "cases.json").read_text(encoding="utf-8").splitlines()]
    assert {path for path, *_ in stored} == {str(tmp_path / "a"), str(tmp_path / "b")}


def test_a_digest_costs_the_same_however_many_there_are(tmp_path):
    names = [f"{number:03}" for number in range(300)]
    _files(tmp_path / "files", *names)
    cache, digests = tmp_path / "digests.jsonl", FileDigests(tmp_path / "digests.jsonl")
    sizes = [0]
    for name in names:
        digests.digest(tmp_path / "files" / name)
        sizes.append(cache.stat().st_size)
    assert set(np.diff(sizes)) <= set(range(sizes[1] - 2, sizes[1] + 3))  # a line each; the time of change may have a digit less
    with open(cache, "ab") as file:
        file.write(b'["torn')
    again = FileDigests(cache)
    assert [again.digest(tmp_path / "files" / name) for name in names] == [digests.digest(tmp_path / "files" / name) for name in names]
    assert cache.stat().st_size == sizes[-1] + 6


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 3}', '["a", "b", 1, 2]', "[" * 100_000, "\0" * 50])
def test_a_damaged_cache_costs_time_only(tmp_path, content):
    _files(tmp_path, "a")
    (tmp_path / "cases.json").write_text(content, encoding="utf-8")
    assert FileDigests(tmp_path / "cases.json").digest(tmp_path / "a") == hashlib.sha256(b"a").hexdigest()


def test_a_folder_of_dicom_files_has_a_digest_that_notices_each_of_them(tmp_path):
    _files(tmp_path / "series", "1.dcm", "2.dcm")
    before = FileDigests(tmp_path / "cases.json").digest(tmp_path / "series")
    (tmp_path / "series" / "2.dcm").write_bytes(b"changed")
    assert FileDigests(tmp_path / "cases.json").digest(tmp_path / "series") != before


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(InputError, match="Cannot read '.*gone.nii'"):
        FileDigests(tmp_path / "cases.json").digest(tmp_path / "gone.nii")
