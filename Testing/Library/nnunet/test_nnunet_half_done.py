"""A data set whose export was interrupted is finished or refused by whoever reads it, and its journal reaches nothing outside."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from contextlib import suppress

import pytest
from hostile_names import LEADING_OUT
from nnunet_cases import a_case, a_plan
from patients import names_in

pytest.importorskip("SimpleITK")

from SAM2AnnotateLib import file_locks
from SAM2AnnotateLib.errors import InputError, OutputError
from SAM2AnnotateLib.nnunet import DataSet
from SAM2AnnotateLib.nnunet.data_sets.transaction import recover, settle_around, staging_folder
from SAM2AnnotateLib.nnunet.runs.folders import NnunetFolders
from SAM2AnnotateLib.nnunet.runs.prediction import predict
from SAM2AnnotateLib.nnunet.runs.training import train
from SAM2AnnotateLib.nnunet.runs.training_options import TrainingOptions
from SAM2AnnotateLib.nnunet.scores.evaluation import evaluate_folder, read_labels
from SAM2AnnotateLib.volume_io import read_volume


@pytest.fixture
def data_set(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    made = DataSet.create(raw, a_plan())
    made.export([a_case("p1"), a_case("p2")])
    return made


def interrupt(data_set, moved: int) -> None:
    """Leave the data set as a kill does that comes after `moved` files of a replacement were moved in."""
    folder, before = data_set.folder, shutil.copytree(data_set.folder, data_set.folder.with_name("before"))
    data_set.export([a_case("p1"), a_case("p2"), a_case("p3")], replace_cases=True)
    after = shutil.copytree(folder, folder.with_name("after"))
    names = sorted(path.relative_to(after).as_posix() for path in after.rglob("*") if path.is_file())
    shutil.rmtree(folder)
    shutil.copytree(before, folder)
    for number, name in enumerate(names):
        place = folder / name if number < moved else staging_folder(folder) / "new" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(after / name, place)
    (staging_folder(folder) / "journal.json").write_text(json.dumps({"put": {name: name for name in names}, "remove": []}))
    shutil.rmtree(before)
    shutil.rmtree(after)


def is_whole(data_set) -> bool:
    return not staging_folder(data_set.folder).exists() and sorted(DataSet.open(data_set.folder).cases()) == ["p1", "p2", "p3"]


class _StopHereError(Exception):
    pass


def _refuse_to_run(*_args, **_more):
    raise _StopHereError


def _train(folder):
    beside = folder.parent.parent
    train(NnunetFolders(folder.parent, beside / "p", beside / "r", folder.name), TrainingOptions(device="cpu", folds=(0,)))


READERS = {
    "train": _train,
    "folders": NnunetFolders.of_data_set,
    "predict": lambda folder: predict(folder.parent, folder / "imagesTr", folder.parent.parent / "out"),
    "evaluate": lambda folder: evaluate_folder("ours", folder / "labelsTr", folder / "labelsTr", read_labels(folder / "dataset.json")),
    "read": lambda folder: settle_around(folder / "imagesTr" / "p1_0000.nii.gz"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("moved", [0, 1, 4, 7])
def test_who_reads_a_half_done_data_set_finishes_it_first(data_set, reader, moved, monkeypatch):
    monkeypatch.setattr("SAM2AnnotateLib.nnunet.runs.training._agree_with_begun_model", _refuse_to_run)
    interrupt(data_set, moved)
    with suppress(_StopHereError, InputError):  # `predict` finds no model there
        READERS[reader](data_set.folder)
    assert is_whole(data_set)


@pytest.mark.parametrize("reader", READERS)
def test_who_may_not_write_is_refused_what_is_half_done(data_set, reader, monkeypatch):
    interrupt(data_set, 3)

    def read_only(*_):
        raise OutputError("Cannot write: Read-only file system.")

    monkeypatch.setattr("SAM2AnnotateLib.nnunet.data_sets.transaction.recover", read_only)
    monkeypatch.setattr("SAM2AnnotateLib.nnunet.runs.training._agree_with_begun_model", _refuse_to_run)
    with pytest.raises(OutputError, match="was interrupted, so its files may not belong together.*sam2annotate nnunet verify"):
        READERS[reader](data_set.folder)


@pytest.mark.parametrize("name", [*LEADING_OUT, 7, None])
@pytest.mark.parametrize("field", ["put", "placed", "remove"])
def test_the_journal_of_a_foreign_folder_reaches_nothing_outside(data_set, tmp_path, name, field):
    if field == "placed" and not isinstance(name, str):
        pytest.skip("the names of JSON are texts")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    staging = staging_folder(data_set.folder)
    (staging / "new").mkdir(parents=True)
    (staging / "new" / "evil").write_text("evil")
    content: dict = {"put": {"evil": "imagesTr/evil"}, "remove": []}
    if field == "remove":
        content["remove"] = [name]
    else:
        content["put"] = {"evil": name} if field == "put" else {name: "imagesTr/evil"}
    (staging / "journal.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="may lead out of|should be a list of texts|is damaged"):
        recover(data_set.folder)
    assert victim.read_text() == "precious"
    assert (staging / "new" / "evil").exists() and not (data_set.folder / "imagesTr" / "evil").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="makes links")
def test_links_of_a_foreign_folder_lead_nowhere(data_set, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("precious")
    staging = staging_folder(data_set.folder)
    (staging / "new").mkdir(parents=True)
    (data_set.folder / "linked").symlink_to(outside)
    (staging / "journal.json").write_text(json.dumps({"put": {}, "remove": ["linked/victim"]}))
    with pytest.raises(InputError, match="leads out of that folder"):
        recover(data_set.folder)
    (staging / "new" / "evil").symlink_to(outside / "victim")
    (staging / "journal.json").write_text(json.dumps({"put": {"evil": "labelsTr/evil"}, "remove": []}))
    with pytest.raises(InputError, match="it is a link"):
        recover(data_set.folder)
    shutil.rmtree(staging)
    staging.symlink_to(outside)
    with pytest.raises(InputError, match="is a link, so it is no change"):
        recover(data_set.folder)
    assert (outside / "victim").read_text() == "precious"


@pytest.mark.parametrize("journal", ["", "[]", "{", "[" * 100_000, '{"put": []}', '{"put": {}, "remove": 1}', '{"put": {"a": {}}}', "\0\0"])
def test_a_damaged_journal_is_one_line_and_changes_nothing(data_set, journal):
    staging = staging_folder(data_set.folder)
    staging.mkdir()
    (staging / "journal.json").write_text(journal)
    with pytest.raises(InputError) as told:
        DataSet.open(data_set.folder)
    assert "\n" not in str(told.value)


@pytest.mark.skipif(sys.platform == "win32", reason="makes links")
def test_a_data_set_behind_a_link_is_changed_where_it_is(tmp_path, data_set):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / data_set.folder.name
    link.symlink_to(data_set.folder)
    DataSet.open(link).export([a_case("p3")])
    assert link.is_symlink() and is_whole(data_set)
    assert read_volume(data_set.folder / "imagesTr" / "p3_0000.nii.gz") is not None
    assert names_in(tmp_path / "links") == [data_set.folder.name]


@pytest.mark.skipif(sys.platform == "win32", reason="the locks of other systems")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.EIO])
def test_a_drive_that_gives_no_locks_is_told_as_such(data_set, monkeypatch, code):
    def no_locks(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(file_locks.fcntl, "flock", no_locks)
    with pytest.raises(OutputError, match="drive .* gives no file locks .*" + os.strerror(code)):
        data_set.export([a_case("p3")])
