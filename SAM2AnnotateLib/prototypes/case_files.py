"""One prototype as a folder of files: a card and pictures. Imports the prototype, json_input, errors and (inside functions) Pillow.

Nothing in the card names a file: names follow from positions. What is read is checked before memory is taken for it, and by its SHA-256, so
that a picture or a card that was changed by hand is told of, not used.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..geometry import Extent
from ..intensity import IntensityMapping
from ..json_input import Fields, parse_json
from ..optional_imports import import_for
from .prototype import Prototype, PrototypeSlice

CARD_FILE = "card.json"
_FORMAT = 1
_LARGEST_CARD_BYTES = 1 << 20
_LARGEST_FILE_BYTES = 1 << 28
_MOST_KEPT_SLICES = 4096
_MOST_PIXELS = 1 << 28  # of all pictures of a prototype: what a hostile card may ask for
_ABOUT = (
    "A prototype of SAM2Annotate: pictures of a patient's slices with the outline of one object. "
    "Whoever gets this folder gets these pictures."
)
_NAMES = (
    "about", "format", "name", "terminology", "modality", "plane", "spacing_src_mm", "frame_shape_rc", "slice_count", "extent", "mapping",
    "slices", "digest",
)  # fmt: skip


def write_case(prototype: Prototype, folder: Path) -> None:
    """Write a prototype into a new folder. Raises OSError."""
    folder.mkdir()
    for name, content in contents_of(prototype).items():
        (folder / name).write_bytes(content)


def contents_of(prototype: Prototype) -> dict[str, bytes]:
    """The files of a prototype, by name; what was learned is not among them."""
    files: dict[str, bytes] = {}
    rows = []
    for one in prototype.slices:
        masks = np.where(one.mask, np.uint8(255), np.uint8(0))
        names = _picture_name(one.position), _mask_name(one.position)
        files |= {name: _png(pixels) for name, pixels in zip(names, (one.picture, masks), strict=True)}
        digests = [hashlib.sha256(files[name]).hexdigest() for name in names]
        rows.append({"position": one.position, "picture_sha256": digests[0], "mask_sha256": digests[1]})
    card = {
        "about": _ABOUT,
        "format": _FORMAT,
        "name": prototype.name,
        "terminology": prototype.terminology,
        "modality": prototype.modality,
        "plane": prototype.plane,
        "spacing_src_mm": list(prototype.spacing_src_mm),
        "frame_shape_rc": list(prototype.frame_shape_rc),
        "slice_count": prototype.slice_count,
        "extent": [prototype.extent.first, prototype.extent.last],
        "mapping": {"lower": prototype.mapping.lower, "upper": prototype.mapping.upper, "name": prototype.mapping.name},
        "slices": rows,
    }
    text = json.dumps({**card, "digest": _digest(card)}, indent=1, ensure_ascii=True)
    return {CARD_FILE: f"{text}\n".encode(), **files}


def read_case(folder: Path, name: str) -> Prototype:
    """Read back what `write_case` wrote.

    Args:
        folder: of the case.
        name: of the object, as its folder has it.

    Raises:
        InputError: in one line, if a file is missing, damaged, foreign, or was changed by hand.
    """
    if folder.is_symlink():
        raise InputError(f"'{folder}' is a link, which may lead out of the library. Put what it links to in its place.")
    return prototype_of(lambda file, most_bytes: _content(folder / file, most_bytes), str(folder), name)


def prototype_of(content: Callable[[str, int], bytes], where: str, name: str | None = None) -> Prototype:
    """The prototype that files tell of.

    Args:
        content: the bytes of a file by its name, at most so many; raises InputError.
        where: the files are, for messages.
        name: of the object, as it should be; None if the card alone tells it.

    Raises:
        InputError: in one line, if a file is missing, damaged, foreign, or was changed by hand.
    """
    what = f"the prototype's card '{where}/{CARD_FILE}'"
    packed = content(CARD_FILE, _LARGEST_CARD_BYTES)
    try:
        fields = Fields(parse_json(packed, what), what)
    except InputError as exc:
        raise InputError(f"{exc} Remove this prototype and add it anew.") from exc
    if fields.whole("format", 0) != _FORMAT:
        raise InputError(
            f"The prototype '{where}' is of format {fields.whole('format')}, this version reads {_FORMAT}. Update SAM2Annotate."
        )
    fields.require_only(*_NAMES)
    if fields.text("digest") != _digest({key: value for key, value in fields.values.items() if key != "digest"}):
        raise InputError(f"The card of '{where}' was changed after it was written. Remove this prototype and add it anew.")
    if name is not None and fields.text("name") != name:
        raise InputError(
            f"The prototype in '{where}' is of '{fields.text('name')[:60]}', not of '{name}': was the folder renamed? Name it back."
        )
    rows, cols = _wholes(fields, "frame_shape_rc", 2, 1)
    listed = fields.objects("slices")
    if not 0 < len(listed) <= _MOST_KEPT_SLICES or rows * cols * len(listed) > _MOST_PIXELS:
        raise InputError(
            f"The prototype '{where}' states {len(listed)} slices of {rows} x {cols}: it is damaged. Remove it and add it anew."
        )
    slices = []
    for row in listed:
        position = row.whole("position", 0)
        picture = _pixels(content, where, _picture_name(position), (rows, cols), row.text("picture_sha256"))
        mask = _pixels(content, where, _mask_name(position), (rows, cols), row.text("mask_sha256"))
        slices.append(PrototypeSlice(position, picture, mask > 0))
    mapping = fields.object("mapping")
    first, last = _wholes(fields, "extent", 2, 0)
    try:
        return Prototype(
            fields.text("name"),
            tuple(slices),
            Extent(first, last),
            fields.whole("slice_count", 1),
            _spacing(fields),
            fields.text("plane"),
            IntensityMapping(mapping.number("lower"), mapping.number("upper"), mapping.text("name"), "as the prototype has it"),
            fields.text("modality"),
            fields.text("terminology"),
        )
    except InputError as exc:
        raise InputError(f"The prototype '{where}' contradicts itself: {exc} Remove it and add it anew.") from exc


def _picture_name(position: int) -> str:
    return f"picture_{position:04d}.png"


def _mask_name(position: int) -> str:
    return f"mask_{position:04d}.png"


def _png(pixels: np.ndarray) -> bytes:
    image = import_for("Keeping a prototype", "PIL.Image", "pip install Pillow")
    stream = io.BytesIO()
    image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def _pixels(content: Callable[[str, int], bytes], where: str, file: str, shape_rc: tuple[int, int], sha256: str) -> np.ndarray:
    """(rows, cols) uint8 of a PNG file, which must be of this content and shape."""
    path, packed = f"{where}/{file}", content(file, _LARGEST_FILE_BYTES)
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise InputError(
            f"The prototype's picture '{path}' was changed or damaged after it was written. Remove this prototype and add it anew."
        )
    image = import_for("Reading a prototype", "PIL.Image", "pip install Pillow")
    try:
        with image.open(io.BytesIO(packed), formats=("PNG",)) as opened:
            if opened.mode != "L" or (opened.height, opened.width) != shape_rc:
                raise ValueError(f"it is {opened.height} x {opened.width} of mode {opened.mode}, not {shape_rc[0]} x {shape_rc[1]} gray")
            return np.array(opened, dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, image.DecompressionBombError) as exc:  # SyntaxError: what Pillow raises of broken chunks
        raise InputError(f"Cannot read the prototype's picture '{path}': {exc}. Remove this prototype and add it anew.") from exc


def _content(path: Path, most_bytes: int) -> bytes:
    if path.is_symlink():
        raise InputError(f"'{path}' is a link, which may lead out of the library. Put what it links to in its place.")
    try:
        if not path.is_file():
            raise InputError(f"The prototype's file '{path}' is missing. Remove this prototype and add it anew.")
        size = path.stat().st_size
        if size > most_bytes:
            raise InputError(
                f"The prototype's file '{path}' has {size} bytes, more than any has. It is none of ours: remove this prototype."
            )
        return path.read_bytes()
    except OSError as exc:
        raise InputError(f"Cannot read the prototype's file '{path}': {exc.strerror or exc}.") from exc


def _wholes(fields: Fields, name: str, count: int, low: int) -> tuple[int, ...]:
    values = fields.items(name)
    if len(values) != count or not all(isinstance(v, int) and not isinstance(v, bool) and low <= v <= 1 << 16 for v in values):
        raise InputError(f"{fields.what[:1].upper()}{fields.what[1:]}: '{name}' should be {count} whole numbers.")
    return tuple(values)


def _spacing(fields: Fields) -> tuple[float, float, float]:
    values = fields.items("spacing_src_mm")
    if len(values) != 3 or not all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values):
        raise InputError(f"{fields.what[:1].upper()}{fields.what[1:]}: 'spacing_src_mm' should be three numbers.")
    return float(values[0]), float(values[1]), float(values[2])


def _digest(card: dict) -> str:
    """SHA-256 of what a card says, whatever the order and the white space of its text."""
    return hashlib.sha256(json.dumps(card, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
