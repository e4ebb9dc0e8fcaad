"""Configurations that come with the library: YAML files whose comments explain each entry. Imports errors and the standard library."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError

_FOLDER = Path(__file__).resolve().parent


def preset_names() -> tuple[str, ...]:
    """Names of all presets."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def preset_text(name: str) -> str:
    """A preset's YAML. Raises InputError if there is none of this name."""
    if name not in preset_names():
        raise InputError(f"Unknown preset '{name}': expected one of {', '.join(preset_names())}.")
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
