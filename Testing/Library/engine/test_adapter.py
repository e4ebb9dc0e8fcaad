"""Adapters as files: the same bytes each time, and one clear line for whatever else comes."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from SAM2AnnotateLib.engine import Adapter, AdapterCard, ScriptedEngine
from SAM2AnnotateLib.engine.adapter_file import pack_tensors
from SAM2AnnotateLib.engine.models.checkpoints import CHECKPOINTS
from SAM2AnnotateLib.errors import CheckpointError, InputError

CARD = AdapterCard(
    object_name="liver",
    base_sha256="ab" * 32,
    architecture="compact",
    modality="CT",
    window=(-160.0, 240.0),
    window_name="abdomen",
    spacing_rc_mm=(0.7, 0.8),
    object_size_mm=120.5,
    slice_count=5,
    scores_before={"box": 0.7, "point": 0.4},
    scores_after={"box": 0.9, "point": 0.8, "none": 0.7},
    created="2026-11-29",
    image_size=256,
)


def an_adapter() -> Adapter:
    rng = np.random.default_rng(0)
    return Adapter({"b": rng.normal(size=(3, 4)).astype(np.float16), "a": rng.normal(size=5).astype(np.float32)}, CARD)


def test_what_is_saved_comes_back_and_the_bytes_are_always_the_same(tmp_path):
    adapter = an_adapter()
    adapter.save(tmp_path / "liver.safetensors")
    content = (tmp_path / "liver.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == adapter.sha256 == an_adapter().sha256
    back = Adapter.load(tmp_path / "liver.safetensors")
    assert back.sha256 == adapter.sha256 and back.card == CARD and back.card.scores_after["none"] == 0.7
    assert {name: array.dtype for name, array in back.tensors.items()} == {"a": np.float32, "b": np.float16}
    assert all(np.array_equal(back.tensors[name], adapter.tensors[name]) for name in "ab")
    assert Adapter(adapter.tensors, replace(CARD, object_name="spleen")).sha256 != adapter.sha256


def test_a_card_says_what_it_gained_and_whether_passes_take_it(tmp_path):
    usual = an_adapter()
    assert usual.card.in_passes and "in_passes" not in usual.card.to_json()  # the same bytes as before there was such a thing
    before, after = {"box": 0.7, "point": 0.4}, {"box": 0.85, "none": 0.7}
    left = Adapter(usual.tensors, replace(CARD, scores_before=before, scores_after=after, in_passes=False))
    left.save(tmp_path / "left.safetensors")
    card = Adapter.load(tmp_path / "left.safetensors").card
    assert card == left.card and card.in_passes is False
    assert card.gain("box") == pytest.approx(0.15) and card.gain("point") == card.gain("none") == 0.0
    assert card.is_clearly_better and not replace(card, scores_after={"box": 0.75}).is_clearly_better


def test_the_share_of_what_was_learned_is_1_where_the_card_says_nothing(tmp_path):
    old = an_adapter()
    assert "blend" not in old.card.to_json()  # the same bytes, and SHA-256, as before there were shares
    assert [old.share(kind) for kind in ("box", "point", "none", "memory")] == [1, 1, 1, 1]
    mixed = Adapter(old.tensors, replace(CARD, serves=("box", "point"), blend={"box": 0.25}))
    mixed.save(tmp_path / "mixed.safetensors")
    back = Adapter.load(tmp_path / "mixed.safetensors")
    assert back.sha256 == mixed.sha256 and back.card == mixed.card
    assert [back.share(kind) for kind in ("box", "point", "none", "memory")] == [0.25, 1, 0, 0]


def test_the_file_is_read_by_the_safetensors_package(tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    an_adapter().save(tmp_path / "a.safetensors")
    assert {name: value.shape for name, value in numpy_files.load_file(tmp_path / "a.safetensors").items()} == {"a": (5,), "b": (3, 4)}


def test_what_was_learned_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="read-only"):
        an_adapter().tensors["a"][0] = 1


def _header(changes: dict, body: bytes = b"\0" * 8) -> bytes:
    header = {"__metadata__": {"sam2annotate_adapter": "1", "card": json.dumps(CARD.to_json())}}
    text = json.dumps({**header, **changes}).encode()
    return len(text).to_bytes(8, "little") + text + body


def _with_card(**changes) -> bytes:
    return pack_tensors({}, {"sam2annotate_adapter": "1", "card": json.dumps({**CARD.to_json(), **changes})})


def _changed(place: int, content: bytes) -> bytes:
    """`content` with one bit of the byte at `place` turned over."""
    broken = bytearray(content)
    broken[place] ^= 1
    return bytes(broken)


A = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DAMAGED = {
    "empty": (b"", "truncated, or no .safetensors"),
    "short": (b"\1\2\3", "truncated, or no .safetensors"),
    "half": (an_adapter().to_bytes()[:-7], "truncated"),
    "longer": (an_adapter().to_bytes() + b"\0\0", "2 bytes more"),
    "huge header": ((1 << 62).to_bytes(8, "little") + b"{}", "truncated, or no .safetensors"),
    "long header": ((2 << 20).to_bytes(8, "little") + b" " * (2 << 20), "header has 2097152 bytes"),
    "no JSON": (b"\2\0\0\0\0\0\0\0{{", "header is no JSON"),
    "a list": (b"\2\0\0\0\0\0\0\0[]", "should be an object"),
    "nested": ((40000).to_bytes(8, "little") + b"[" * 40000, "nested too deeply"),
    "pickle": (pickle.dumps({"a": np.zeros(3)}), "no .safetensors"),
    "huge tensor": (_header({"a": {**A, "shape": [1 << 39, 1 << 39]}}), "does not fit the tensor's shape"),
    "tensor beyond the end": (_header({"a": {**A, "shape": [1 << 30], "data_offsets": [0, 4 << 30]}}), "truncated: 'a' ends"),
    "negative shape": (_header({"a": {**A, "shape": [-2]}}), "the shape of 'a'"),
    "fraction": (_header({"a": {**A, "shape": [2.0]}}), "the shape of 'a'"),
    "swapped place": (_header({"a": {**A, "data_offsets": [8, 0]}}), "the place of 'a'"),
    "overlap": (_header({"a": A, "b": A}), "overlaps"),
    "gap": (_header({"a": {**A, "data_offsets": [8, 16]}}, b"\0" * 16), "does not fit"),
    "integers": (_header({"a": {**A, "dtype": "I64"}}), "of type 'I64'"),
    "an entry that is none": (_header({"a": 3}), "no tensor's"),
    "NaN": (_header({"a": A}, np.array([np.nan, 0], dtype="<f4").tobytes()), "NaN or infinite"),
    "infinite": (_header({"a": A}, np.array([0, np.inf], dtype="<f4").tobytes()), "NaN or infinite"),
    "no card": (pack_tensors({}, {"sam2annotate_adapter": "1"}), "card"),
    "later": (pack_tensors({}, {"sam2annotate_adapter": "7", "card": "{}"}), "format '7'"),
    "a model's weights": (pack_tensors({"w": np.zeros(2, np.float32)}, {"architecture": "compact"}), "no adapter of SAM2Annotate"),
    "a strange field": (_with_card(patient="X"), "not known here: patient"),
    "a list for a name": (_with_card(object_name=["liver"]), "'object_name' should be a text"),
    "a line break": (_with_card(object_name="liver\nsecond line"), "'object_name' should be a text"),
    "a score of 3": (_with_card(scores_after={"box": 3}), "'scores_after' should hold DSC"),
    "NaN in the card": (_with_card(object_size_mm=float("nan")), "NaN"),
    "a window that falls": (_with_card(window=[5, 1]), "'window' should rise"),
    "one number of a window": (_with_card(window=[5]), "'window' should be a list"),
    "a spacing of 0": (_with_card(spacing_rc_mm=[0, 1]), "'spacing_rc_mm' should be above 0"),
    "an unknown kind": (_with_card(serves=["scribble"]), "'serves' should be a list"),
    "a share of nothing": (_with_card(blend={"box": 0}), "'blend' should hold shares"),
    "a share above 1": (_with_card(blend={"box": 1.5}), "'blend' should hold shares"),
    "a share of a strange kind": (_with_card(blend={"scribble": 0.5}), "'blend' should hold shares"),
    "a share of what is not served": (_with_card(serves=["point"], blend={"box": 0.5}), "'blend' should hold shares"),
    "a share that is true": (_with_card(blend={"box": True}), "'blend' should hold shares"),
    "a list of shares": (_with_card(blend=[0.5]), "'blend' should hold shares"),
    "a number for passes": (_with_card(in_passes=1), "'in_passes' should be true or false"),
    "true for a count": (_with_card(slice_count=True), "'slice_count' should be a count"),
    "an old file without a checksum": (_with_card(), "no checksum"),
    "a bit of a number": (_changed(-9, an_adapter().to_bytes()), "not what its checksum tells"),
    "another name in the card": (an_adapter().to_bytes().replace(b"liver", b"tumor"), "not what its checksum tells"),
    "other scores in the card": (an_adapter().to_bytes().replace(b'"box\\":0.9', b'"box\\":0.8'), "not what its checksum tells"),
    "an unknown part": (_with_card(trained="encoder"), "'trained' should be one of"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_foreign_or_edited_file_gets_one_line(kind, tmp_path):
    content, message = DAMAGED[kind]
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="x.safetensors") as told:
        Adapter.load(tmp_path / "x.safetensors")
    assert message in str(told.value) and "\n" not in str(told.value) and str(told.value).isprintable()


def test_one_wrong_bit_anywhere_is_refused_in_one_line():
    content = an_adapter().to_bytes()
    text = content[8:].rindex(b"}") + 9  # behind it: spaces that fill up the header, which state nothing
    padding = range(text, len(content) - 44)
    for place in range(len(content)):
        if place in padding:
            continue
        with pytest.raises(CheckpointError) as told:
            Adapter.from_bytes(_changed(place, content))
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["missing.safetensors", "nul\0.safetensors"])
def test_a_file_that_is_not_there_is_told(tmp_path, name):
    with pytest.raises(CheckpointError, match="Cannot read the adapter"):
        Adapter.load(f"{tmp_path}/{name}")


def test_the_bundled_weights_are_no_adapter():
    with pytest.raises(CheckpointError, match="no adapter|header"):
        Adapter.load(CHECKPOINTS["bundled"].file_name)


def test_an_adapter_has_its_suffix(tmp_path):
    with pytest.raises(InputError, match=r"\.safetensors file"):
        an_adapter().save(tmp_path / "liver.pt")


def test_another_base_model_refuses_it_in_one_line():
    with pytest.raises(CheckpointError, match="belongs to another model") as told:
        ScriptedEngine().with_adapter(an_adapter())
    assert "\n" not in str(told.value) and "liver" in str(told.value)


def test_what_learned_nothing_is_never_nan():
    with pytest.raises(CheckpointError, match="NaN"):
        Adapter({"a": np.array([np.nan], np.float32)}, CARD)
