"""Writes facts.json from the facts on Slicer's API that the project shares. Imports the standard library only.

Run ``python -m slicer_host.extract_facts FOLDER`` in ``Testing/Slicer`` after those facts have changed; FOLDER holds api.json and
slicer_util.json. The part kept is what a scripted module can plausibly touch, so that the tests need nothing outside the repository.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

FACTS_PATH = Path(__file__).with_name("facts.json")

# Families of Qt classes that no scripted module of ours has a use for. A class that another kept class derives from is kept all the same.
_LEFT_OUT_OF_QT = re.compile(
    r"Q(Graphics|Media|Audio|Camera|Video|Radio(Data|Tuner)|Ssl|Dtls|Dns|Http|Hst|Ocsp|Network|OpenGL|Cbor|Accessible|Touch|Tablet|Pinch|Pan|Swipe|Tap|"
    r"Gesture|NativeGesture|Printer|Print|Pdf|Page|TileRules|Tcp|Udp|Local(Server|Socket)|Host|IPv6|Authenticator|Sound|State$|StateMachine|"
    r"Image(Encoder|IO|Capture)|MetaData|Raw|Scroller|Json|Xml|Multimedia|Quaternion|Vector4D|StyleHintReturn|"
    r"Abstract(Audio|Video|Network|Graphics)|TextInline|Mdi|Wizard|Undo|EventTransition|HistoryState|FinalState|Rhi|Style\w+V\d)"
)
_LEFT_OUT_OF_CTK = re.compile(r"ctk(DICOM|Workflow|Job|Axes)")
_LEFT_OUT_OF_SLICER = re.compile(r"pq|qSlicer(DICOM|Extension|Settings\w+Panel)")
_CLASS_KEYS_DROPPED = ("header", "lib", "pkg", "platform_only", "enums_not_exposed")


def kept_class_names(classes: dict[str, Any]) -> list[str]:
    """The classes to keep, bases included, sorted."""

    def wanted(name: str, entry: dict[str, Any]) -> bool:
        if entry["kind"] == "vtk":
            return False
        if name.startswith("ctk"):
            return not _LEFT_OUT_OF_CTK.match(name)
        if entry["namespace"] == "qt":
            return not _LEFT_OUT_OF_QT.match(name)
        return not _LEFT_OUT_OF_SLICER.match(name)

    kept = {name for name, entry in classes.items() if wanted(name, entry)}
    waiting = list(kept)
    while waiting:
        for base in classes[waiting.pop()]["bases"]:
            if base in classes and base not in kept:
                kept.add(base)
                waiting.append(base)
    return sorted(kept)


def extract(source: Path) -> dict[str, Any]:
    """The facts to keep, from a folder with ``api.json`` and ``slicer_util.json``."""
    api = json.loads((source / "api.json").read_text(encoding="utf-8"))
    util = json.loads((source / "slicer_util.json").read_text(encoding="utf-8"))
    classes = api["classes"]
    vtk_classes: dict[str, list[str]] = {}
    for name, entry in sorted(classes.items()):
        if entry["kind"] == "vtk" and entry["namespace"]:
            vtk_classes.setdefault(entry["namespace"], []).append(name)
    return {
        "what": "The part of the facts on Slicer's API that the test host needs; written by extract_facts.py, not by hand",
        "sources": {**api["meta"]["sources"], "slicer.util": util["meta"]["sources"]},
        "class_keys": {key: text for key, text in api["meta"]["class_keys"].items() if key not in _CLASS_KEYS_DROPPED},
        "every_pythonqt_object": api["meta"]["every_pythonqt_object"],
        "instances": api["instances"],
        "module_logics": api["module_logics"],
        "slicer_attributes": api["slicer_attributes"],
        "qt_extra": api["qt_extra"],
        "Qt": api["Qt"],
        "vtk_classes": vtk_classes,
        "python": {name: entry for name, entry in sorted(util.items()) if name != "meta"},
        "classes": {
            name: {key: value for key, value in classes[name].items() if key not in _CLASS_KEYS_DROPPED}
            for name in kept_class_names(classes)
        },
    }


def write(facts: dict[str, Any], path: Path) -> None:
    """Write one line for each class and each other entry, so that a change of the facts reads well as a difference."""

    def compact(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=True)

    lines = [f"{compact(key)}:{compact(value)}" for key, value in facts.items() if key not in ("classes", "python")]
    for key in ("python", "classes"):
        entries = ",\n".join(f" {compact(name)}:{compact(entry)}" for name, entry in facts[key].items())
        lines.append(f'"{key}":{{\n{entries}\n}}')
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Read the folder named on the command line and write facts.json beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder that holds api.json and slicer_util.json")
    facts = extract(parser.parse_args(argv).source)
    write(facts, FACTS_PATH)
    print(f"{FACTS_PATH}: {len(facts['classes'])} classes, {FACTS_PATH.stat().st_size / 1e6:.2f} MB")  # noqa: T201 - a tool for a terminal
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
