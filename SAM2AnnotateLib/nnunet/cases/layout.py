"""Image and label files of the same names in two folders, as people lay them out and as nnU-Net does. Imports volume_io, errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...volume_io.read import VOLUME_SUFFIXES

_CHANNEL = re.compile(r"(.+)_(\d{4})", re.DOTALL)


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case.

    Args:
        case_id: the name that they share.
        images: one a channel, in nnU-Net's order.
        labels: the label map.
    """

    case_id: str
    images: tuple[Path, ...]
    labels: Path


def paired_files(images: Path, labels: Path) -> list[CaseFiles]:
    """Every case of two folders, by name.

    An image is called like its label map (``p01.nii.gz``), or as in nnU-Net with the number of its channel (``p01_0000.nii.gz``).

    Raises:
        InputError: if a folder is missing, or a file has no partner or lacks a channel.
    """
    by_image, by_label = volumes_in(images), volumes_in(labels)
    found: dict[str, dict[int, Path]] = {}
    alone = []
    for name, path in by_image.items():
        channel = _CHANNEL.fullmatch(name)
        if name in by_label:
            found.setdefault(name, {})[0] = path
        elif channel is not None and channel[1] in by_label:
            found.setdefault(channel[1], {})[int(channel[2])] = path
        else:
            alone.append(path.name)
    for names, folder in ((alone, labels), ([path.name for name, path in by_label.items() if name not in found], images)):
        if names:
            raise InputError(
                f"{_first_few(names)}: no file of the same name in '{folder}'. An image and its label map must have the same name; "
                "an image may end in its channel, such as _0000, as in nnU-Net."
            )
    cases = []
    for name, channels in sorted(found.items()):
        if sorted(channels) != list(range(len(channels))):
            raise InputError(f"The case '{name}' in '{images}' lacks a channel: it has {', '.join(f'_{n:04d}' for n in sorted(channels))}.")
        cases.append(CaseFiles(name, tuple(channels[n] for n in sorted(channels)), by_label[name]))
    return cases


def volumes_in(folder: Path) -> dict[str, Path]:
    """Volume files by their name without ending; others, hidden ones too, are not looked at.

    Raises:
        InputError: if there is no such folder, or two files would be one case.
    """
    if not folder.is_dir():
        raise InputError(f"The folder '{folder}' does not exist.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        ending = next((suffix for suffix in sorted(VOLUME_SUFFIXES, key=len, reverse=True) if path.name.lower().endswith(suffix)), None)
        if ending is None or path.name.startswith(".") or not path.is_file():
            continue
        case_id = path.name[: -len(ending)]
        if case_id in found:
            raise InputError(f"'{folder}' holds {found[case_id].name} and {path.name}, which would be one case. Remove one.")
        found[case_id] = path
    return found


def _first_few(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
