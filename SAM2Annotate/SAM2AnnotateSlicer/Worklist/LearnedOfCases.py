"""LearnedOfCases: what was learned of an object from a folder's reviewed cases, and from which; a file beside them. No Qt.

The file names what was learned by its hash. What it cannot tell, because it is damaged or gone, counts as not learned yet.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from SAM2AnnotateLib.atomic_files import write_text_atomically
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.json_input import Fields, read_json

STATE_FILE = "sam2annotate_proposals.json"


@dataclass(frozen=True)
class LearnedOfCases:
    """What was learned of one object.

    Args:
        sha256: of what was learned; "" if nothing better than the model as it came was found.
        cases: names of all cases that were reviewed then, in the order in which they came: the newest last.
    """

    sha256: str = ""
    cases: tuple[str, ...] = ()


def read(folder: Path, name: str) -> LearnedOfCases:
    """What is known of an object; nothing if the file is not there, or cannot be used."""
    path = folder / STATE_FILE
    if not path.is_file():
        return LearnedOfCases()
    try:
        one = _objectsIn(path).object(name, {})
        return LearnedOfCases(one.text("learned", ""), tuple(dict.fromkeys(one.texts("learned_from", []))))
    except InputError:  # it is learned again
        return LearnedOfCases()


def write(folder: Path, name: str, known: LearnedOfCases) -> None:
    """Keep it, beside what is known of other objects. Raises OutputError."""
    path = folder / STATE_FILE
    try:
        objects = dict(_objectsIn(path).values) if path.is_file() else {}
    except InputError:
        objects = {}
    objects[name] = {"learned": known.sha256, "learned_from": list(known.cases)}
    write_text_atomically(path, json.dumps({"format": 1, "objects": objects}, indent=1) + "\n")


def _objectsIn(path: Path) -> Fields:
    return Fields(read_json(path, "what was learned"), f"'{path}'").object("objects")
