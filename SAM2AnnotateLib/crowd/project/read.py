"""``project.yaml`` to a `CrowdProject`: every mistake in one sentence with its place. Imports the rest of this room and yaml_config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...file_names import inside
from ...yaml_config.fields import (
    build,
    described,
    list_of,
    read_block,
    read_number,
    read_text,
    read_whole,
    read_window,
    require_known,
    text_or_number,
)
from ...yaml_config.names import require_names
from ...yaml_config.yaml_file import parse_yaml, read_yaml
from .prepared import prepare
from .project import CrowdProject, Rules
from .values import CrowdObject, CrowdVolume, SliceChoice

PROJECT_FILE = "project.yaml"
PREPARED_FOLDER = "prepared"
PICTURE_SUFFIXES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_LARGEST_PICTURE_BYTES = 8 << 20


@dataclass(frozen=True)
class _Object:
    key: str
    name: str
    sentence: str
    examples: tuple[str, ...] = ()
    label: int | None = None
    terminology: str | None = None


@dataclass(frozen=True)
class _Volume:
    key: str
    image: str
    slices: SliceChoice | None = None
    gold: str | None = None
    gold_slices: SliceChoice | None = None


@dataclass(frozen=True)
class _File:
    key: str
    title: str
    objects: tuple[_Object, ...]
    volumes: tuple[_Volume, ...]
    instructions: str = ""
    axis: str = "axial"
    window: str = "auto"
    slices: SliceChoice = field(default_factory=SliceChoice)
    known_answers: str | None = None
    database: str | None = None


_RULES: Mapping[str, Any] = {
    one.name: read_whole if one.type == "int" else read_number for one in fields(Rules)  # the annotations are texts here
}  # fmt: skip


def read_project(folder: str | Path, say: Callable[[str], None] = lambda _: None) -> CrowdProject:
    """Read a project, and prepare the volumes that were not read before.

    Args:
        folder: with project.yaml.
        say: takes a line for each volume that is read.

    Raises:
        InputError: if the file is missing or anything in it is wrong, with the place; if a file that it names is.
        OutputError: if the prepared volumes cannot be written.
        MissingPackageError: if PyYAML is not installed.
    """
    folder = Path(folder)
    path = folder / PROJECT_FILE
    if not path.is_file():
        raise InputError(
            f"'{folder}' is no crowd project: there is no '{PROJECT_FILE}' in it.",
            f"Make one: sam2annotate crowd init {folder} --volumes IMAGE... --object NAME",
        )
    return _project(folder, read_yaml(path), str(path), say)


def project_from_text(folder: Path, text: str, say: Callable[[str], None] = lambda _: None) -> CrowdProject:
    """As `read_project` for a text that is not written yet."""
    return _project(folder, parse_yaml(text, str(folder / PROJECT_FILE)), str(folder / PROJECT_FILE), say)


def _project(folder: Path, content: Any, source: str, say: Callable[[str], None]) -> CrowdProject:
    try:
        written, rules = _written(content)
        objects = tuple(_object(folder, one, number) for number, one in enumerate(written.objects, start=1))
        _require_files(folder, written)
        volumes = tuple(_volume(folder, one, written, say) for one in written.volumes)
        known = None if written.known_answers is None else folder / written.known_answers
        return CrowdProject(
            folder, written.key, written.title, objects, volumes, written.instructions, written.axis, written.window, rules, known,
            written.database,
        )  # fmt: skip
    except InputError as exc:
        raise InputError(f"'{source}': {exc.problem}", exc.remedy) from exc


def _written(content: Any) -> tuple[_File, Rules]:
    readers = {
        "key": text_or_number,
        "title": text_or_number,
        "objects": list_of(_read_object),
        "volumes": list_of(_read_volume),
        "instructions": read_text,
        "axis": read_text,
        "window": read_window,
        "slices": _read_slices,
        "known_answers": read_text,
        "database": read_text,
    }
    block = read_block(content, "")
    require_known(block, [*readers, *_RULES], "")
    rules = build(Rules, {key: value for key, value in block.items() if key in _RULES}, "", _RULES)
    return build(_File, {key: value for key, value in block.items() if key in readers}, "", readers), rules


def _read_object(value: Any, place: str) -> _Object:
    readers = {
        "key": text_or_number,
        "name": text_or_number,
        "sentence": read_text,
        "examples": list_of(read_text),
        "label": read_whole,
        "terminology": read_text,
    }
    return build(_Object, value, place, readers)


def _read_volume(value: Any, place: str) -> _Volume:
    readers = {"key": text_or_number, "image": read_text, "slices": _read_slices, "gold": read_text, "gold_slices": _read_slices}
    return build(_Volume, value, place, readers)


def _read_slices(value: Any, place: str) -> SliceChoice:
    if value == "all":
        return SliceChoice()
    if not isinstance(value, Mapping):
        raise InputError(
            f"{place}: expected all, or a block such as {{every: 4}} or {{first: 10, last: 60, every: 2}}, got {described(value)}."
        )
    return build(SliceChoice, value, place, {"every": read_whole, "first": read_whole, "last": read_whole})


def _object(folder: Path, one: _Object, number: int) -> CrowdObject:
    place = f"objects[{number}]"
    try:
        examples = tuple(_example(folder, name) for name in one.examples)
        return CrowdObject(one.key, one.name, one.sentence, examples, number if one.label is None else one.label, one.terminology)
    except InputError as exc:
        raise InputError(f"{place}: {exc}") from exc


def _example(folder: Path, name: str) -> Path:
    path = inside(folder, name, "an example picture")
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise InputError(f"The example picture '{name}' should be a file that ends in {', '.join(PICTURE_SUFFIXES)}.")
    try:
        if path.resolve().parent != path.parent.resolve():
            raise InputError(f"The example picture '{name}' is a link to somewhere else. Copy the picture into the project.")
        content = path.read_bytes()
    except OSError as exc:
        raise InputError(f"The example picture '{name}' cannot be read: {exc.strerror or exc}.") from exc
    if len(content) > _LARGEST_PICTURE_BYTES:
        raise InputError(f"The example picture '{name}' has {len(content) >> 20} MB, at most {_LARGEST_PICTURE_BYTES >> 20} are shown.")
    begins = b"\x89PNG\r\n" if path.suffix.lower() == ".png" else b"\xff\xd8\xff"
    if not content.startswith(begins):
        raise InputError(f"The example picture '{name}' is no {path.suffix[1:].upper()}, whatever its name says.")
    return path


def _require_files(folder: Path, written: _File) -> None:
    """All that is missing in one sentence, before long work."""
    named = [one.image for one in written.volumes] + [one.gold for one in written.volumes if one.gold] + [written.known_answers]
    missing = [name for name in named if name is not None and not (folder / name).exists()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(f"There is no {', '.join(repr(str(folder / name)) for name in missing[:3])}{more}. Paths count from '{folder}'.")


def _volume(folder: Path, one: _Volume, written: _File, say: Callable[[str], None]) -> CrowdVolume:
    if one.gold_slices is not None and one.gold is None:
        raise InputError(f"Volume '{one.key}': 'gold_slices' says where answers are known, but there is no label map 'gold'.")
    require_names("volume", [one.key])
    path = folder / one.image
    try:
        prepared, made = prepare(path, written.axis, written.window, folder / PREPARED_FOLDER, one.key)
    except InputError as exc:
        raise InputError(f"Volume '{one.key}': {exc.problem}", exc.remedy) from exc
    if made:
        slices, (rows, cols) = prepared.stack.shape_src[0], prepared.stack.frame_shape_rc
        say(f"{one.key}: {slices} slices of {rows} x {cols}, gray {prepared.mapping.lower:g}..{prepared.mapping.upper:g}")
    return CrowdVolume(
        one.key, path, prepared.stack, prepared.mapping, prepared.gray_file, one.slices or written.slices,
        None if one.gold is None else folder / one.gold, one.gold_slices,
    )  # fmt: skip
