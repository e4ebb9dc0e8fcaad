"""``sam2annotate prototype``: annotated cases kept as prototypes of an object, and what is learned on them. Imports the library inside."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from ...geometry import SliceStack
from ...geometry.drawn_axis import require_drawn_along
from ..engine_options import add_engine_options, engine_from
from ..values import add_series_options, counted, show_notes
from .phases import run_in_phases

if TYPE_CHECKING:
    from ...prototypes import PrototypeLibrary

_EXAMPLES = """examples:
  sam2annotate prototype add hippocampus --image case1.nii.gz --mask case1_labels.nii.gz
  sam2annotate prototype add hippocampus --image case2.nii.gz --mask case2_labels.nii.gz --adapt
  sam2annotate propose case3.nii.gz --prototype hippocampus -o case3_mask.nii.gz

A prototype holds pictures of a patient's slices: who gets the library gets these. It holds no names, dates or paths.
"""


def add_parser(subparsers) -> None:
    """Register the command and its subcommands."""
    parser = subparsers.add_parser(
        "prototype", help="keep annotated cases as prototypes of an object, to find it elsewhere", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter, description="A library of prototypes: annotated slices kept as pictures.",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="prototype_command", metavar="COMMAND", required=True)
    add_add_parser(commands)
    listed = commands.add_parser("list", help="names of the objects, and how many cases there are of each")
    shown = commands.add_parser("show", help="what the library holds of one object")
    removed = commands.add_parser("remove", help="remove an object, or one case of it")
    for one in (listed, shown, removed):
        if one is not listed:
            one.add_argument("name", metavar="NAME", help="the object")
        add_library_option(one)
    removed.add_argument("--case", type=int, metavar="N", help="only this case, by its number; by default all of the object")
    listed.set_defaults(run=run_list)
    shown.set_defaults(run=run_show)
    removed.set_defaults(run=run_remove)


def add_add_parser(commands) -> None:
    """Register ``prototype add``."""
    parser = commands.add_parser(
        "add", help="keep an annotated case", epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("name", metavar="NAME", help="the object: cases of one name belong together")
    add("--image", required=True, metavar="IMAGE", help="NIfTI, NRRD or MHA file, or a folder with a DICOM series")
    add("--mask", required=True, metavar="LABELS", help="label map on the image's grid")
    add("--label", type=int, metavar="V", help="the object's value in it (default: every voxel that is not 0)")
    add("--axis", default="k", choices=("i", "j", "k", "axial", "coronal", "sagittal"), help="slice along this axis (default: k)")
    add("--window", default="auto", metavar="LO,HI|NAME", help="gray window, as of 'segment' (default: auto)")
    add("--adapt", action="store_true", help="then learn the object (again) from all cases of this name")
    add("--steps", type=int, default=1000, metavar="N", help="of learning (default: 1000)")
    add("--seconds", type=float, default=600.0, metavar="S", help="learning ends after this at the latest (default: 600)")
    add_series_options(parser)
    add_library_option(parser)
    add_engine_options(parser)
    parser.set_defaults(run=run_add)


def add_library_option(parser: argparse.ArgumentParser) -> None:
    """``--library``."""
    parser.add_argument("--library", metavar="FOLDER", help="the library's folder (default: your own, see 'prototype list')")


def run_add(options: argparse.Namespace) -> int:
    """Keep a case; returns the exit code."""
    from ...nnunet.data_sets.transaction import settle_around
    from ...prototypes import PrototypeLearning, PrototypeLibrary, learn_from_prototypes, prototype_from
    from ...volume_io import read_volume
    from ...volume_io.label_values import whole_labels

    learning = PrototypeLearning(steps=options.steps, seconds=options.seconds)
    library = PrototypeLibrary(options.library)
    for one in (options.image, options.mask):
        settle_around(one)
    volume = read_volume(options.image, options.series, options.volume)
    show_notes(options.image, volume.notes)
    labels = read_volume(options.mask)
    show_notes(options.mask, labels.notes)
    volume.grid.require_same(labels.grid, f"The image '{options.image}'", f"the mask '{options.mask}'")
    mask = _mask_of(whole_labels(labels.array_kji, str(options.mask)), options.label, options.mask)
    require_drawn_along(mask, SliceStack.along(volume.grid, options.axis), options.mask)
    prototype = prototype_from(volume, mask, options.name, options.axis, options.window)
    engine = engine_from(options) if options.adapt else None  # before anything is kept: what is missing is told first
    count = library.add(prototype)
    shown = sum(one.mask.any() for one in prototype.slices)
    print(
        f"Kept {counted(len(prototype.slices), f'{prototype.plane} slice')}, {shown} of them with '{prototype.name}', as case "
        f"{library.case_numbers(prototype.name)[-1]} in {library.folder} ({count} in all). They are pictures of a patient."
    )
    if engine is not None:
        started = time.perf_counter()
        adapter = run_in_phases(learn_from_prototypes(engine, library.prototypes(prototype.name), options=learning))
        library.keep_adapter(prototype.name, adapter)
        print(f"Learned '{prototype.name}' from {counted(adapter.card.volume_count, 'case')} in {time.perf_counter() - started:.0f} s.")
    return 0


def run_list(options: argparse.Namespace) -> int:
    """List names; returns the exit code."""
    from ...prototypes import PrototypeLibrary

    library = PrototypeLibrary(options.library)
    names = library.names()
    print(f"library  {library.folder}")
    for name in names:
        learned = "learned" if library.has_adapter(name) else "not learned"
        damaged = library.damaged(name)
        lost = f" and {len(damaged)} damaged ({', '.join(f'case {number}' for number in damaged)})" if damaged else ""
        print(f"{name}  {counted(len(library.case_numbers(name)) - len(damaged), 'case')}{lost}, {learned}")
    if any(library.damaged(name) for name in names):
        print("'prototype show NAME' says what is wrong with a case, 'prototype remove NAME --case N' removes it.")
    if not names:
        print("It is empty. Add an annotated case: sam2annotate prototype add NAME --image IMAGE --mask LABELS")
    return 0


def run_show(options: argparse.Namespace) -> int:
    """Show one object; returns the exit code."""
    from ...prototypes import PrototypeLibrary

    library = PrototypeLibrary(options.library)
    numbers = library.case_numbers(options.name)
    for number, one in zip(numbers, library.prototypes(options.name), strict=True):
        print(
            f"case {number}  {one.modality}, {one.plane}, {counted(len(one.slices), 'slice')} kept, "
            f"{len(one.with_object)} with the object, "
            f"spacing {' x '.join(f'{mm:g}' for mm in one.spacing_src_mm)} mm, object {one.object_size_mm:.0f} mm wide and "
            f"{one.extent_mm:.0f} mm across the slices"
        )
    _show_adapter(library, options.name)
    print(f"folder  {library.folder / options.name}")
    return 0


def _show_adapter(library: PrototypeLibrary, name: str) -> None:
    adapter = library.adapter(name)
    if adapter is None:
        print("learned  nothing yet (add a case with --adapt)")
        return
    card = adapter.card
    print(
        f"learned  {card.created}, from {counted(card.slice_count, 'slice')} of {counted(card.volume_count, 'case')}, "
        f"on {card.architecture} "
        f"{card.base_sha256[:12]}; sha256 {adapter.sha256[:12]}"
    )


def run_remove(options: argparse.Namespace) -> int:
    """Remove an object or a case; returns the exit code."""
    from ...prototypes import PrototypeLibrary

    library = PrototypeLibrary(options.library)
    learned = library.has_adapter(options.name) and options.case is not None and len(library.case_numbers(options.name)) > 1
    library.remove(options.name, options.case)
    what = f"'{options.name}'" if options.case is None else f"case {options.case} of '{options.name}'"
    print(f"Removed {what} from {library.folder}.")
    if learned:
        print("note: what was learned before knows that case still; learn again with 'prototype add ... --adapt'.", file=sys.stderr)
    return 0


def _mask_of(labels: np.ndarray, label: int | None, path: str | Path) -> np.ndarray:
    """(k, j, i) bool of the object. Raises InputError if it has no voxel."""
    if label == 0:
        raise InputError("Label 0 is the background. Give the label of an object, or leave out --label to take every nonzero voxel.")
    mask = labels != 0 if label is None else labels == label
    if not mask.any():
        there = ", ".join(str(int(value)) for value in np.unique(labels)[:20] if value != 0) or "none, it is empty"
        raise InputError(
            f"The mask '{path}' has no voxel of {'an object' if label is None else f'label {label}'}; its labels are: {there}."
        )
    return mask
