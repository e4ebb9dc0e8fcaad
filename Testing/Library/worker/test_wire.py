"""How voxels and messages travel between relay and server, without either."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import InputError, WorkerError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.propagation import SliceEncoder
from SAM2AnnotateLib.worker import messages as m
from SAM2AnnotateLib.worker import wire


@pytest.mark.parametrize(
    "message",
    [
        wire.Welcome(0, "abc", False, "1.2.3", ["bundled"], {"resume_seconds": 120.0}),
        wire.UploadVolume(3, "ct", [2, 3, 4], np.eye(4).tolist(), "axial", "00" * 32),
        wire.ChunksWanted(3, [[0, 2], [5, 6]]),
        m.CloseVolume(4, "Welcome"),
        m.Finished(9),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_comes_back_from_its_frame(message):
    assert wire.from_text(wire.to_text(message)) == message


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"UploadVolume","version":1}',
        f'{{"version":{m.PROTOCOL_VERSION},"type":"ChunksWanted","request":1}}',
        '["Welcome"]',
        '{"type":"Welcome"',
        '{"type":["Welcome"]}',
        "\ud800",
        "[" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(text):
    with pytest.raises(WorkerError):
        wire.from_text(text)


def test_a_file_cannot_be_named_on_the_wire():
    assert m.OpenVolume not in wire.ON_THE_WIRE
    assert set(m.REQUESTS) - set(wire.ON_THE_WIRE) == {m.OpenVolume}


@pytest.mark.parametrize("values", ["int16", "float32", "uint8"])
def test_the_model_sees_the_same_of_the_grays_as_of_the_volume(values):
    random = np.random.default_rng(5)
    voxels = (random.normal(60, 200, (5, 24, 30)).clip(0, 255) if values == "uint8" else random.normal(60, 200, (5, 24, 30))).astype(values)
    grid = VolumeGrid(voxels.shape, np.array([[0.0, 0, 3, 7], [-0.7, 0.1, 0, 1], [0.1, 0.7, 0, 2], [0, 0, 0, 1]]))
    window = IntensityMapping(-55.3, 155.7, "explicit", "test")
    plain = VolumeGrid(voxels.shape, np.hstack([grid.ijk_to_ras[:, :3], [[0], [0], [0], [1]]]))
    here = SliceEncoder(ScriptedEngine(), Volume(grid, voxels), SliceStack.along(grid, "sagittal"), window)
    grays = IntensityMapping(wire.GRAY_LOWER, wire.GRAY_UPPER, "explicit", "test")
    there = SliceEncoder(ScriptedEngine(), Volume(plain, wire.gray_of(voxels, window)), SliceStack.along(plain, "sagittal"), grays)
    assert here.stack == there.stack
    for position in Extent(0, here.slice_count - 1).indices:
        crop = Box2D(-3, 20, 2, 40)
        assert np.array_equal(here.picture(position, crop), there.picture(position, crop))


def test_chunks_come_together_in_any_order():
    gray = np.random.default_rng(1).integers(0, 4, (3, 700, 600), dtype=np.uint8)
    count = wire.chunk_count(gray.nbytes)
    assert count == 2 and sum(stop - start for start, stop in (wire.chunk_bounds(n, gray.nbytes) for n in range(count))) == gray.nbytes
    filled = np.zeros(gray.nbytes, dtype=np.uint8)
    for frame in wire.pack_chunks(7, gray, [1, 0]):
        chunk = wire.Chunk.of(frame)
        start, stop = wire.chunk_bounds(chunk.index, gray.nbytes)
        filled[start:stop] = np.frombuffer(chunk.voxels(stop - start), dtype=np.uint8)
        assert chunk.request == 7 and len(frame) < (stop - start) / 2
    assert filled.tobytes() == gray.tobytes() and wire.sha256_of(filled) == wire.sha256_of(gray)


def test_noise_travels_as_it_is():
    noise = np.random.default_rng(2).integers(0, 256, 5000, dtype=np.uint8)
    frame = wire.pack_chunk(1, 0, noise.data)
    assert len(frame) < 5100 and wire.Chunk.of(frame).voxels(5000) == noise.tobytes()


_HEAD = struct.Struct(">4sQIIIB")


def _frame(packed: bytes, byte_count: int = 1000, crc: int | None = None, packing: int = 1, magic: bytes = b"S2A1") -> bytes:
    return _HEAD.pack(magic, 1, 0, byte_count, zlib.crc32(bytes(1000)) if crc is None else crc, packing) + packed


_GOOD = zlib.compress(bytes(1000))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"S2A1",
        _frame(_GOOD, magic=b"PK\3\4"),
        _frame(_GOOD[:-3]),
        _frame(_GOOD + b"x"),
        _frame(b"no zlib"),
        _frame(_GOOD, crc=1),
        _frame(_GOOD, packing=9),
        _frame(_GOOD, packing=0),
        _frame(_GOOD, byte_count=1 << 31),
        _frame(zlib.compress(bytes(999))),
        _frame(zlib.compress(bytes(50_000_000))),
        _frame(bytes(999), packing=0),
    ],
)
def test_a_chunk_that_is_none_is_refused(frame):
    with pytest.raises(InputError):
        wire.Chunk.of(frame).voxels(1000)


def test_a_bomb_is_not_unpacked():
    import tracemalloc

    frame = _frame(zlib.compress(bytes(200_000_000), 9), byte_count=1000)
    tracemalloc.start()
    with pytest.raises(InputError):
        wire.Chunk.of(frame).voxels(1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_refusal_says_what_to_do():
    for refusal in wire.Refusal:
        assert refusal.problem and refusal.status == refusal - 4000 and str(int(refusal)) in refusal.body().decode()
