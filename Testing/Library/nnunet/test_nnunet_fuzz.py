"""Every JSON and YAML that the program reads, damaged in many ways: one line each, or what was stored. Bounded, and always the same."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from nnunet_cases import a_case, a_plan, a_review
from patients import an_anisotropic_volume

pytest.importorskip("SimpleITK")
pytest.importorskip("yaml")

from SAM2AnnotateLib.errors import SAM2AnnotateError
from SAM2AnnotateLib.nnunet import DataSet
from SAM2AnnotateLib.nnunet.cases.plan import PLAN_FILE, read_plan
from SAM2AnnotateLib.nnunet.data_sets.job import ExportJob, JobImage, read_job, write_job
from SAM2AnnotateLib.nnunet.data_sets.transaction import recover, staging_folder
from SAM2AnnotateLib.nnunet.runs.preparation import Preparation
from SAM2AnnotateLib.nnunet.runs.verify import verify_files
from SAM2AnnotateLib.nnunet.scores.evaluation import read_labels
from SAM2AnnotateLib.review.journal import read_journal, volume_identity, write_journal
from SAM2AnnotateLib.review.stored_object import pack_object, unpack_object
from SAM2AnnotateLib.setup_plan.offline_folder import OfflineFolder
from SAM2AnnotateLib.study import StudyConfig
from SAM2AnnotateLib.yaml_config.yaml_file import parse_yaml

_SPECIAL = ("1e999", "-1e999", "NaN", "null", "[]", "{}", '""', "true", "-1", "1.5", "99999999999", "9223372036854775808", '"x"', "[1]",
            '{"a":1}', "0", '"../../../../outside/x"', '"\\ud800"', '"/etc/passwd"', '"CON"', "9" * 400, '"C:\\\\\\\\x"')  # fmt: skip
_TOKEN = re.compile(r'-?\d+(\.\d+)?(e-?\d+)?|"[^"]*"|true|false|null')
_CHANGES, _SECONDS = 60, 20


def changed(text: str, seed: int) -> Iterator[bytes]:
    """The text with one value replaced, with bytes damaged, cut off, nested without end."""
    rng = random.Random(seed)
    spans = [found.span() for found in _TOKEN.finditer(text)]
    for start, stop in (rng.choice(spans) for _ in range(_CHANGES)):
        yield (text[:start] + rng.choice(_SPECIAL) + text[stop:]).encode("utf-8", "surrogatepass")
    for _ in range(_CHANGES // 3):
        damaged = bytearray(text.encode())
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        yield bytes(damaged)
        yield text.encode()[: rng.randrange(len(text))]
    yield b""
    yield b"\0" * 100
    yield b"[" * 200_000
    yield (text.rstrip().rstrip("}") + ',"q":' + "[" * 200_000).encode()
    yield b"\xff\xfe" + text.encode("utf-16-le")
    yield re.sub(r"\d+", "9" * 5000, text, count=1).encode()


@contextmanager
def bounded() -> Iterator[None]:
    """A hang is a failure, not a wait."""
    if sys.platform == "win32":
        yield
        return

    def stop(*_args):
        raise AssertionError(f"no answer after {_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def require_one_line(read: Callable[[], object], what: bytes) -> object:
    """The error if the library refused it, after a look at its text; None if it was taken."""
    try:
        with bounded():
            read()
    except SAM2AnnotateError as told:
        assert "\n" not in " ".join(str(told).splitlines()) and str(told) and len(str(told)) < 2000, what[:200]
        return told
    return None


def fuzz(path: Path, read: Callable[[], object], seed: int = 11) -> None:
    """Damage a file and read it, again and again; it is as before at the end."""
    whole = path.read_bytes()
    refused = 0
    for content in changed(whole.decode(), seed):
        path.write_bytes(content)
        refused += require_one_line(read, content) is not None
    path.write_bytes(whole)
    assert refused > 10
    assert require_one_line(read, whole) is None


@pytest.fixture
def data_set(tmp_path):
    (tmp_path / "raw").mkdir()
    made = DataSet.create(tmp_path / "raw", a_plan())
    made.export([a_case(f"p{number}") for number in range(3)])
    return made


@pytest.mark.parametrize("name", [PLAN_FILE, "splits_final.json", "provenance/p0.json"])
def test_files_of_a_data_set(data_set, tmp_path, name):
    def use() -> None:
        opened = DataSet.open(data_set.folder)
        opened.cases()
        opened.splits()
        opened.preview(a_case("z"))
        for case in opened.cases():
            opened.provenance(case)

    before = sorted(path.name for path in tmp_path.iterdir())
    fuzz(data_set.folder / name, use)
    assert sorted(path.name for path in tmp_path.iterdir()) == before  # nothing went elsewhere


def test_a_description_of_a_data_set(data_set):
    path = data_set.folder / "dataset.json"
    fuzz(path, lambda: read_labels(path))
    path.write_text('{"numTraining": []}')
    assert verify_files(DataSet.open(data_set.folder)).problems


def test_a_plan_of_a_person(data_set, tmp_path):
    shutil.copyfile(data_set.folder / PLAN_FILE, tmp_path / "plan.json")
    fuzz(tmp_path / "plan.json", lambda: (read_plan(tmp_path / "plan.json").nnunet_labels(), read_plan(tmp_path / "plan.json").folder_name))


def test_the_change_of_a_data_set(data_set, tmp_path):
    staging = staging_folder(data_set.folder)
    path = tmp_path / "journal"
    path.write_text(json.dumps({"put": {"imagesTr/p9_0000.nii.gz": "imagesTr/p9_0000.nii.gz"}, "remove": ["labelsTr/p9.nii.gz"]}))

    def use() -> None:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        shutil.copyfile(path, staging / "journal.json")
        recover(data_set.folder)

    fuzz(path, use)


def test_a_journal(tmp_path):
    volume = an_anisotropic_volume()
    stored, path = a_review(volume.grid, (0, 3), {1: "accepted", 2: "corrected"}), tmp_path / "j.json"
    write_journal(path, volume_identity(volume), {"a": stored})
    truth = json.dumps(stored.session.to_json(), sort_keys=True)

    def use() -> None:
        for one in read_journal(path, volume_identity(volume)).values():
            assert json.dumps(one.session.to_json(), sort_keys=True) == truth  # never half believed
            one.session.due_work()

    fuzz(path, use)


def test_the_tag_of_a_segment(tmp_path):
    import base64
    import zlib

    stored = a_review(an_anisotropic_volume().grid, (0, 3), {1: "accepted", 2: "corrected"})
    path = tmp_path / "tag"
    path.write_bytes(zlib.decompress(base64.b64decode(pack_object(stored))))

    def use() -> None:
        back = unpack_object(base64.b64encode(zlib.compress(path.read_bytes())).decode(), "liver").session
        assert back.locked == {p for p in back.extent.indices if back.status(p).value in ("accepted", "corrected")}
        back.due_work()
        json.dumps(back.to_json())

    fuzz(path, use)


def test_a_list_of_an_offline_folder(tmp_path):
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(b"abc")
    OfflineFolder.write_manifest(tmp_path, f"{sys.version_info.major}.{sys.version_info.minor}", "Linux")

    def use() -> None:
        folder = OfflineFolder.open(tmp_path, for_packages=False)
        folder.verify()

    fuzz(tmp_path / "manifest.json", use)


def test_a_job(tmp_path):
    volume = an_anisotropic_volume()
    image = JobImage(volume.grid, "x", "CT", np.asarray(volume.array_kji))
    path = write_job(ExportJob(tmp_path / "Dataset007_Test", a_plan(), "p1", None, (image,), ()), tmp_path)
    fuzz(path, lambda: read_job(path).case())


def test_the_preparation_of_a_model():
    content = json.dumps(Preparation((-100.0, 200.0), True, 5.0).as_json_object())
    for damaged in changed(content, 3):
        try:
            stored = json.loads(damaged)
        except (ValueError, RecursionError):
            continue
        require_one_line(lambda stored=stored: Preparation.from_json_object(stored), damaged)


def test_the_configuration_of_a_study(tmp_path):
    from SAM2AnnotateLib.study.presets import preset_text

    text = preset_text("mini-hippocampus")
    values = [found for found in re.finditer(r"(?<=: )[^#\n{\[]+", text) if found[0].strip()]
    rng = random.Random(5)
    several = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(f"{n}: &{n} [{', '.join([f'*{chr(ord(n) - 1)}'] * 9)}]\n" for n in "bcdefghi")
    hostile = [
        several,
        "&a [*a]",
        "x: " + "[" * 5000,
        "- " * 3000 + "x",
        "a: 2026-99-99",
        "a: !!python/object/apply:os.system [ls]",
        "\0",
        "a: " + "9" * 5000,
    ]
    for found in (rng.choice(values) for _ in range(80)):
        hostile.append(
            text[: found.start()]
            + rng.choice(["[]", "{}", "-1", ".inf", ".nan", "1e999", "''", "x: y", "null", "9" * 400])
            + text[found.end() :]
        )

    def read(one: str) -> object:
        return require_one_line(lambda: StudyConfig.from_mapping(parse_yaml(one, "study.yaml")), one.encode())

    refused = [read(one) for one in hostile]
    assert all(refused[:8]) and read(text) is None
