"""Read YAML: safely, with line numbers in errors, and no key twice. Imports errors and (inside functions) PyYAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..optional_imports import import_for

_MOST_VALUES = 100_000


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file. Raises InputError."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise InputError(f"Cannot read '{path}': {exc.strerror or exc}.") from exc
    except UnicodeDecodeError as exc:
        raise InputError(f"'{path}' is no text in UTF-8 (byte {exc.start}). Save it as UTF-8.") from exc
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Any:
    """The content of YAML text: numbers, text, lists and mappings only, whatever it asks for.

    Args:
        text: one YAML document.
        source: where it is from, for messages.

    Raises:
        InputError: if it is no YAML, or a block has a key twice; with the line.
        MissingPackageError: if PyYAML is not installed.
    """
    yaml = import_for("Reading a configuration", "yaml", "pip install PyYAML")

    safe_loader: Any = yaml.SafeLoader

    class Loader(safe_loader):
        def construct_mapping(self, node, deep=False):
            lines: dict[Any, int] = {}
            for key_node, _ in node.value:
                if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                    continue
                key, line = self.construct_object(key_node), key_node.start_mark.line + 1
                if key in lines:
                    raise InputError(f"'{source}', line {line}: the key '{key}' stands in line {lines[key]} already. Leave out one.")
                lines[key] = line
            return super().construct_mapping(node, deep)

    try:
        content = yaml.load(text, Loader)
        _expanded_size(content, {})
        return content
    except (RecursionError, ValueError, OverflowError) as exc:  # ValueError: a date or number that is none
        reason = "it is nested too deeply, or refers to itself" if isinstance(exc, RecursionError) else str(exc)
        raise InputError(f"'{source}': this is no YAML that can be used: {reason}.") from exc
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"'{source}'{where}: this is no YAML: {exc.problem or exc.context}.") from exc
    except yaml.YAMLError as exc:
        raise InputError(f"'{source}': this is no YAML: {exc}.") from exc


def _expanded_size(value: Any, known: dict[int, int]) -> int:
    """Number of values when every reference is written out: a few lines of YAML can stand for billions. Raises ValueError if too many."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) in known:
        if not known[id(value)]:
            raise ValueError("it refers to itself")
        return known[id(value)]
    known[id(value)] = 0
    size = 1 + sum(_expanded_size(one, known) for one in (value.values() if isinstance(value, dict) else value))
    if size > _MOST_VALUES:
        raise ValueError(f"it holds more than {_MOST_VALUES} values")
    known[id(value)] = size
    return size
