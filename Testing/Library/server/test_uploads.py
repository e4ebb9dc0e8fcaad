"""Volumes in chunks and messages from anybody: checked before memory is taken."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest

from SAM2AnnotateLib.errors import InputError, WorkerError
from SAM2AnnotateLib.server.limits import Limits
from SAM2AnnotateLib.server.requests import read_request
from SAM2AnnotateLib.server.uploads import MemoryBudget, Upload, check_upload
from SAM2AnnotateLib.worker import messages as m
from SAM2AnnotateLib.worker import wire

LIMITS = Limits()
MATRIX = np.diag([0.8, -0.8, 3.0, 1.0]).tolist()


def _announced(gray: np.ndarray, **changes) -> wire.UploadVolume:
    message = wire.UploadVolume(4, "ct", list(gray.shape), MATRIX, "axial", wire.sha256_of(gray))
    return dataclasses.replace(message, **changes)


@contextmanager
def _little_memory():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.fixture
def a_gray():
    return np.random.default_rng(3).integers(0, 256, (5, 700, 800), dtype=np.uint8)


def test_a_volume_comes_together_and_its_memory_is_counted(a_gray):
    budget = MemoryBudget(a_gray.nbytes + 10)
    message = _announced(a_gray)
    assert check_upload(message, 1 << 30).shape_kji == a_gray.shape
    upload = Upload(message, budget)
    assert upload.missing == [[0, 3]] and budget.taken_bytes == a_gray.nbytes
    frames = list(wire.pack_chunks(4, a_gray, [2, 0]))
    upload.take(wire.Chunk.of(frames[0]))
    upload.take(wire.Chunk.of(frames[1]))
    assert upload.missing == [[1, 2]] and not upload.is_whole(0.0)
    upload.take(wire.Chunk.of(next(wire.pack_chunks(4, a_gray, [1]))))
    assert upload.is_whole(0.0) and np.array_equal(upload.array_kji(), a_gray) and not upload.array_kji().flags.writeable
    with pytest.raises(InputError, match="memory for volumes"):
        Upload(message, budget)
    upload.drop()
    upload.drop()
    assert budget.taken_bytes == 0


def test_another_volume_than_announced_is_refused_and_can_be_sent_again(a_gray):
    upload = Upload(_announced(a_gray, sha256="ab" * 32), MemoryBudget(1 << 30))
    for frame in wire.pack_chunks(4, a_gray, [0, 1, 2]):
        upload.take(wire.Chunk.of(frame))
    with pytest.raises(InputError, match="not the one that was announced"):
        upload.array_kji()
    assert upload.missing == [[0, 3]]


def test_a_chunk_that_was_not_asked_for_is_refused(a_gray):
    upload = Upload(_announced(a_gray), MemoryBudget(1 << 30))
    chunk = wire.Chunk.of(next(wire.pack_chunks(4, a_gray, [0])))
    upload.take(chunk)
    with pytest.raises(InputError, match="not asked for"):
        upload.take(chunk)
    with pytest.raises(InputError, match="chunks 0..2"):
        upload.take(dataclasses.replace(chunk, index=3))
    upload.drop()
    with pytest.raises(InputError, match="given up"):
        upload.take(wire.Chunk.of(next(wire.pack_chunks(4, a_gray, [1]))))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shape_kji": [5, 700]}, "three sides"),
        ({"shape_kji": [5, 0, 3]}, "three sides"),
        ({"shape_kji": [5, -1, 3]}, "three sides"),
        ({"shape_kji": [16385, 1, 1]}, "three sides"),
        ({"shape_kji": [16384, 16384, 16384]}, "million voxels"),
        ({"shape_kji": [1024, 1024, 1025]}, "million voxels"),
        ({"sha256": "../../etc/passwd"}, "SHA-256"),
        ({"sha256": "AB" * 32}, "SHA-256"),
        ({"axis": "/etc/passwd"}, "axis"),
        ({"ijk_to_ras": [[1.0]]}, "4 x 4"),
        ({"ijk_to_ras": [[0.0] * 4] * 4}, "affine"),
        ({"ijk_to_ras": np.diag([1e-8, 1e-8, 1.0, 1.0]).tolist()}, "singular"),
        ({"ijk_to_ras": np.diag([1e-4, 1e4, 1.0, 1.0]).tolist()}, "differ by too much"),
    ],
)
def test_an_announcement_is_checked_before_memory_is_taken(changes, reason):
    with _little_memory(), pytest.raises(InputError, match=reason):
        check_upload(_announced(np.zeros((5, 7, 8), dtype=np.uint8), **changes), 1 << 30)


# -- messages -----------------------------------------------------------------------------------------------------------------------

_PROMPT = {"box": [1, 5, 2, 9], "points": [[3, 4, True]], "mask": {"shape": [2, 3], "runs": [1, 5]}}
_GOOD = {
    "LoadModel": m.LoadModel(1, "bundled"),
    "UploadVolume": wire.UploadVolume(2, "ct", [1, 2, 3], MATRIX, "axial", "00" * 32),
    "CloseVolume": m.CloseVolume(3, "ct"),
    "PredictSlice": m.PredictSlice(4, "ct", 3, _PROMPT, "auto", [0, 4, 0, 4]),
    "Propagate": m.Propagate(5, "ct", {"3": _PROMPT}, [1, 4], "20 mm", [], [], None, [3], []),
    "Prefetch": m.Prefetch(6, "ct", 3, [1, 4], [0, 4, 0, 4]),
    "Cancel": m.Cancel(7, 5),
    "Shutdown": m.Shutdown(8),
    "UseAdapter": m.UseAdapter(9, "A" * 4000),
    "Learn": m.Learn(10, [], "", "", "auto", None, 5, 0, "A" * 4000),
    "ProposeObject": m.ProposeObject(11, "ct", ["A" * 4000], "auto", "A" * 4000),
}


@pytest.mark.parametrize("name", sorted(_GOOD))
def test_a_request_is_read_as_it_was_sent(name):
    assert read_request(wire.to_text(_GOOD[name]), LIMITS) == _GOOD[name]


def test_every_request_of_the_protocol_can_be_checked():
    """A message that is added later is let through with its fields checked, or this says that the check must learn a type."""
    import typing

    from SAM2AnnotateLib.server.requests import _require

    samples = {int: 1, str: "x", float: 1.0, bool: True, dict: {}}
    for kind in wire.ON_THE_WIRE:
        for hint in typing.get_type_hints(kind).values():
            inner = [one for one in typing.get_args(hint) if one is not type(None)]
            plain = typing.get_origin(hint) if typing.get_origin(hint) in (list, dict) else None
            value = plain() if plain else samples.get(hint, samples.get(inner[0] if inner else None, []))
            _require(value, hint, kind.__name__)


def test_no_request_on_the_wire_names_a_file():
    """Adapters and prototypes travel as bytes; a field for a path would be one on the server's disk."""
    for kind in wire.ON_THE_WIRE:
        for field in dataclasses.fields(kind):
            assert not any(word in field.name for word in ("file", "path", "folder", "directory")), f"{kind.__name__}.{field.name}"


@pytest.mark.parametrize(
    "reply",
    [
        m.Finished(1),
        m.Failed(1, "X", "y"),
        m.Heartbeat(0),
        wire.ChunksWanted(1, []),
        m.OpenVolume(1, "v", "/etc/passwd", MATRIX, "axial", 0.0, 1.0),
    ],
)
def test_what_a_client_may_not_send_is_refused(reply):
    with pytest.raises(WorkerError, match="no request that a client may send"):
        read_request(wire.to_text(reply), LIMITS)


def _changed(name: str, **changes) -> str:
    return json.dumps({**json.loads(wire.to_text(_GOOD[name])), **changes})


@pytest.mark.parametrize(
    "text",
    [
        _changed("CloseVolume", request=0),
        _changed("CloseVolume", request=True),
        _changed("CloseVolume", request=1.5),
        _changed("CloseVolume", request=10**400),
        _changed("CloseVolume", volume=["ct"]),
        _changed("CloseVolume", volume="x" * 1001),
        _changed("CloseVolume", volume="a\0b"),
        _changed("LoadModel", image_size="large"),
        _changed("LoadModel", checkpoint=None),
        _changed("UploadVolume", shape_kji=[1.5, 2, 3]),
        _changed("UploadVolume", shape_kji=[True, 2, 3]),
        _changed("UploadVolume", ijk_to_ras=[[float("nan")] * 4] * 4),
        _changed("UploadVolume", ijk_to_ras=MATRIX[0]),
        _changed("UploadVolume", array_file="/etc/passwd"),
        _changed("PredictSlice", position="3"),
        _changed("PredictSlice", prompt=[1]),
        _changed("PredictSlice", prompt={"mask": {"shape": [1 << 20, 1 << 20], "runs": [1 << 40]}}),
        _changed("PredictSlice", prompt={"mask": {"shape": 7, "runs": [1]}}),
        _changed("PredictSlice", prompt={"mask": {"shape": [2, 2], "runs": "1"}}),
        _changed("PredictSlice", prompt={"a": {"b": {"c": [[[[[[[[[[[1]]]]]]]]]]]}}}),
        _changed("PredictSlice", prompt={"box": [1, 2, 3, 1 << 40]}),
        _changed("PredictSlice", prompt={"box": [1, 2, 3, 1e400]}),
        _changed("Propagate", prompts={"3": 4}),
        _changed("Propagate", locked=[[1]]),
        _changed("Propagate", changed="x"),
        _changed("Propagate", proposals=[{"crop": [0, 1 << 20, 0, 1 << 20]}]),
        _changed("Propagate", proposals=[{"crop": "abcd"}]),
        _changed("Propagate", due=[1 << 40]),
        _changed("Cancel", target=None),
        _changed("Shutdown", version=1),
        "",
        "null",
        "[" * 100_000,
        "{" * 10_000,
        '{"a":' * 50_000,
    ],
)
def test_a_value_of_another_kind_is_refused(text):
    with pytest.raises(WorkerError):
        read_request(text, LIMITS)


def test_a_message_that_takes_too_much_memory_is_refused_before_it_is_read():
    many = '{"version":2,"type":"CloseVolume","request":1,"volume":[' + "1," * 5_000_000 + "1]}"
    with _little_memory(), pytest.raises(WorkerError, match="values"):
        read_request(many, LIMITS)
    with pytest.raises(WorkerError, match="bytes"):
        read_request("x" * (LIMITS.largest_message_bytes + 1), LIMITS)


def test_a_crop_of_a_request_is_bounded_where_it_is_taken():
    from SAM2AnnotateLib.server.requests import require_crop

    with pytest.raises(WorkerError, match="a crop of"):
        require_crop([0, 1 << 20, 0, 1 << 20], "PredictSlice")


@pytest.mark.parametrize("name", ["sessions", "idle_seconds", "volumes_bytes"])
def test_a_limit_is_above_zero(name):
    with pytest.raises(InputError, match=name):
        Limits(**{name: 0})


def test_one_user_cannot_take_the_memory_of_all():
    budget = MemoryBudget(100 << 20, 60 << 20)
    budget.take(50 << 20, "anna")
    with pytest.raises(
        InputError, match="One user's volumes may take 60 MB of the server's memory: yours take 50 MB, this one takes 20 MB"
    ):
        budget.take(20 << 20, "anna")
    budget.take(40 << 20, "ben")
    with pytest.raises(InputError, match="taken by others: 10 MB are free"):
        budget.take(20 << 20, "ben")
    budget.give_back(50 << 20, "anna")
    budget.take(60 << 20, "anna")
    assert budget.taken_bytes == 100 << 20
