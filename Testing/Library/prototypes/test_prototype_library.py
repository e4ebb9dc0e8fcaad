"""A library of prototypes: what comes back, and one clear line for whatever is not as it was written."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from prototype_balls import WINDOW, a_ball

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Extent, SliceStack
from SAM2AnnotateLib.intensity import choose_mapping
from SAM2AnnotateLib.prototypes import (
    PrototypeLibrary,
    default_library_folder,
    prototype_from,
    prototype_from_bytes,
    prototype_of_slices,
    prototype_to_bytes,
)
from SAM2AnnotateLib.prototypes.making import chosen_positions


@pytest.fixture
def a_prototype():
    volume, mask = a_ball()
    return prototype_from(volume, mask, "ball", window=WINDOW)


@pytest.fixture
def a_library(tmp_path, a_prototype):
    library = PrototypeLibrary(tmp_path / "library")
    library.add(a_prototype)
    return library


def _case(library, number=1):
    return library.folder / "ball" / f"case_{number}"


def test_a_prototype_comes_back_as_it_was_kept(a_library, a_prototype):
    (back,) = a_library.prototypes("ball")
    assert [one.position for one in back.slices] == [one.position for one in a_prototype.slices]
    for one, other in zip(back.slices, a_prototype.slices, strict=True):
        assert np.array_equal(one.picture, other.picture) and np.array_equal(one.mask, other.mask)
    for name in ("extent", "slice_count", "spacing_src_mm", "plane", "modality", "name"):
        assert getattr(back, name) == getattr(a_prototype, name)
    assert (back.mapping.lower, back.mapping.upper) == (0, 150)


def test_a_case_is_pictures_a_person_can_look_at_and_a_card_without_a_path(a_library):
    picture = np.array(Image.open(_case(a_library) / "picture_0008.png"))
    mask = np.array(Image.open(_case(a_library) / "mask_0008.png"))
    assert picture.shape == (96, 80) and picture[mask == 255].mean() > 150 > 60 > picture[mask == 0].mean()
    card = (_case(a_library) / "card.json").read_text()
    assert str(a_library.folder) not in card and "picture" in json.loads(card)["about"]
    assert {file.suffix for file in _case(a_library).iterdir()} == {".json", ".png"}


def test_prototypes_are_numbered_listed_and_removed(a_library, a_prototype):
    assert a_library.add(a_prototype) == 2 and len(a_library.prototypes("ball")) == 2
    assert a_library.names() == ["ball"]
    a_library.remove("ball", 1)
    assert len(a_library.prototypes("ball")) == 1 and a_library.add(a_prototype) == 2 and _case(a_library, 3).is_dir()
    with pytest.raises(InputError, match=re.escape("There is no case 1 of 'ball': there are 2, 3.")):
        a_library.remove("ball", 1)
    a_library.remove("ball")
    assert a_library.names() == [] and [file.name for file in a_library.folder.iterdir()] == [".lock"]
    with pytest.raises(InputError, match="There is no prototype 'ball'"):
        a_library.prototypes("ball")


@pytest.mark.parametrize("name", ["../ball", "a/b", "", "CON", "ball ", "."])
def test_a_name_stays_in_the_library(a_library, name):
    volume, mask = a_ball()
    with pytest.raises(InputError, match="cannot name a file"):
        prototype_from(volume, mask, name, window=WINDOW)
    with pytest.raises(InputError, match="cannot name a file"):
        a_library.prototypes(name)


def test_two_names_do_not_differ_in_capital_letters_only(a_library):
    volume, mask = a_ball()
    with pytest.raises(InputError, match="'Ball' differs in capital letters only"):
        a_library.add(prototype_from(volume, mask, "Ball", window=WINDOW))


def _edit_card(library, change):
    path = _case(library) / "card.json"
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))


def _sign(card):
    from SAM2AnnotateLib.prototypes.case_files import _digest

    card["digest"] = _digest({name: value for name, value in card.items() if name != "digest"})


def _hostile(**changes):
    def change(card):
        card.update(changes)
        _sign(card)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.update(spacing_src_mm=[3, 2, 1]), "was changed after it was written"),
        (lambda card: card.update(spare=1), "'spare' should be a field of one of the names"),
        (lambda card: card.pop("digest"), "'digest' should be text, it is nothing"),
        (_hostile(format=2), "is of format 2, this version reads 1"),
        (_hostile(name="liver"), "is of 'liver', not of 'ball': was the folder renamed"),
        (_hostile(frame_shape_rc=[65536, 65536]), "it is damaged"),
        (_hostile(frame_shape_rc=[96, 81]), "not 96 x 81 gray"),
        (_hostile(frame_shape_rc=[96.0, 80]), "'frame_shape_rc' should be 2 whole numbers"),
        (_hostile(slice_count=65536 * 2), "contradicts itself"),
        (_hostile(slice_count=3), "contradicts itself"),
        (_hostile(extent=[0, 2]), "contradicts itself: A prototype's object lies outside of its extent"),
        (_hostile(spacing_src_mm=[3, 0, 1]), "contradicts itself: A prototype's spacing"),
        (_hostile(spacing_src_mm=[3, True, 1]), "'spacing_src_mm' should be three numbers"),
        (_hostile(plane="oblique"), "contradicts itself"),
        (_hostile(modality="US"), "contradicts itself"),
        (_hostile(mapping={"lower": 3, "upper": 2, "name": "x"}), "contradicts itself"),
        (_hostile(mapping=[]), "should be an object"),
        (_hostile(slices=[]), "states 0 slices"),
        (_hostile(slices=[{"position": 0}]), "'picture_sha256' should be text"),
        (_hostile(slices=[{"position": -1}]), "'position' should be a whole number"),
        (_hostile(slices=7), "'slices' should be a list"),
    ],
)
def test_a_card_that_was_changed_or_is_hostile_gets_one_clear_line(a_library, change, message):
    _edit_card(a_library, change)
    with pytest.raises(InputError) as refused:
        a_library.prototypes("ball")
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda case: (case / "card.json").write_text("{"), "Cannot read the prototype's card"),
        (lambda case: (case / "card.json").write_text("{"), "Remove this prototype and add it anew."),
        (lambda case: (case / "card.json").write_text("[]"), "expected an object of JSON, got a list"),
        (lambda case: (case / "card.json").write_bytes(b" " * (2 << 20)), "more than any has"),
        (lambda case: (case / "card.json").unlink(), "is missing"),
        (lambda case: (case / "mask_0008.png").unlink(), "mask_0008.png' is missing"),
        (lambda case: (case / "mask_0008.png").write_bytes(b"x"), "was changed or damaged"),
        (lambda case: Image.new("L", (80, 96)).save(case / "picture_0008.png"), "was changed or damaged"),
    ],
)
def test_a_damaged_file_gets_one_clear_line(a_library, damage, message):
    damage(_case(a_library))
    with pytest.raises(InputError) as refused:
        a_library.prototypes("ball")
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_foreign_picture_is_not_unpacked_before_its_size_is_known(a_library):
    import hashlib

    path = _case(a_library) / "picture_0008.png"
    Image.new("L", (20000, 20000)).save(path)  # 400 MB of pixels in few bytes
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def change(card):
        next(row for row in card["slices"] if row["position"] == 8)["picture_sha256"] = digest
        _sign(card)

    _edit_card(a_library, change)
    with pytest.raises(InputError, match="Cannot read the prototype's picture"):
        a_library.prototypes("ball")


def test_a_link_out_of_the_library_is_not_followed(a_library, tmp_path):
    shutil.move(_case(a_library), tmp_path / "elsewhere")
    _case(a_library).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link, which may lead out of the library"):
        a_library.prototypes("ball")


def test_what_an_empty_annotation_would_keep_is_refused():
    volume, mask = a_ball()
    with pytest.raises(InputError, match="The annotation of 'ball' is empty"):
        prototype_from(volume, np.zeros_like(mask), "ball")


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_the_pictures_as_a_volume_lie_where_the_slices_were(plane):
    volume, mask = a_ball()
    prototype = prototype_from(volume, mask, "ball", axis=plane, window=WINDOW)
    stack = SliceStack.along(prototype.volume().grid, plane)
    assert stack.spacing_src_mm == prototype.spacing_src_mm == SliceStack.along(volume.grid, plane).spacing_src_mm
    frames = stack.view(prototype.volume().array_kji)
    for one in prototype.slices:
        assert np.array_equal(frames[one.position], one.picture)


def test_of_many_slices_those_with_the_object_its_ends_and_some_others_are_kept():
    kept = chosen_positions(list(range(100, 300)), Extent(100, 299), 600, 211, (512, 512))
    assert {100, 299, 211, 99, 98, 300, 301} <= set(kept) and len(kept) < 100 and kept[0] < 20 and kept[-1] > 580
    assert chosen_positions([3, 4, 5], Extent(3, 5), 9, 4, (40, 40)) == list(range(9))
    assert chosen_positions([3, 5], Extent(2, 6), 9, 5, (40, 40), among={3, 5, 7}) == [3, 5, 7]


def test_the_users_own_library_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SAM2ANNOTATE_PROTOTYPES", str(tmp_path / "mine"))
    assert default_library_folder() == tmp_path / "mine" and PrototypeLibrary().names() == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is no folder"):
        PrototypeLibrary(tmp_path / "file")


def test_a_prototype_travels_as_bytes(a_prototype):
    data = prototype_to_bytes(a_prototype)
    back = prototype_from_bytes(data)
    assert prototype_to_bytes(back) == data and back.name == "ball" and len(back.slices) == len(a_prototype.slices)


def _zipped(files, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK" + bytes(1000),
        _zipped({"card.json": b"{}"}),
        _zipped({"card.json": b" " * 100_000}, zipfile.ZIP_DEFLATED),
        _zipped({"other": b""}),
    ],
)
def test_foreign_bytes_get_one_clear_line(data):
    with pytest.raises(InputError) as refused:
        prototype_from_bytes(data)
    assert "\n" not in str(refused.value)


def test_damaged_bytes_get_one_clear_line(a_prototype):
    data = prototype_to_bytes(a_prototype)
    for damaged in (data[:-200], data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]):
        with pytest.raises(InputError, match=r"damaged or none of ours|was changed"):
            prototype_from_bytes(damaged)


def test_what_a_panel_keeps_are_the_slices_that_a_person_is_done_with():
    volume, mask = a_ball()
    stack = SliceStack.along(volume.grid, "axial")
    masks = {position: mask[position] for position in (2, 5, 8, 10)}
    kept = prototype_of_slices(volume, stack, choose_mapping(volume, WINDOW), "ball", masks, Extent(4, 12))
    assert [one.position for one in kept.slices] == [2, 5, 8, 10] and not kept.slices[0].mask.any()
    assert [kept.place(position) for position in (2, 4, 8, 12)] == [None, 0.0, 0.5, 1.0]
    with pytest.raises(InputError, match="shows the object: there is nothing to keep"):
        prototype_of_slices(volume, stack, choose_mapping(volume, WINDOW), "ball", {2: mask[2]}, Extent(4, 12))


def test_what_a_killed_program_left_is_removed_and_nothing_of_it_is_listed(a_library, a_prototype):
    code = "from SAM2AnnotateLib.leftovers import owned_token; print(owned_token())"
    token = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    left = a_library.folder / f".{token}.partial"
    shutil.copytree(_case(a_library), left)
    other = PrototypeLibrary(a_library.folder.rename(a_library.folder.with_name("moved")))  # a folder is swept once by a process
    assert other.names() == ["ball"] and len(other.prototypes("ball")) == 1
    other.add(a_prototype)
    assert sorted(file.name for file in other.folder.iterdir()) == [".lock", "ball"]
