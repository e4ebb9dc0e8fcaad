"""``sam2annotate nnunet verify``: our checks and nnU-Net's own on a data set. Imports the library inside functions.

With ``--json-lines`` the answer is one line ``{"type": "verified", ...}``; where nnU-Net is missing it says so, and only our checks ran.
"""

from __future__ import annotations

import argparse
import sys

from ...errors import MissingPackageError
from ..json_lines import cancelled_with_input, say


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "verify", help="check a data set, with nnU-Net's own integrity check too",
        description="Check a data set: files, geometry, values, folds, patients; then run nnU-Net's verify_dataset_integrity on it.",
    )  # fmt: skip
    add = parser.add_argument
    add("data_set", metavar="DATASET", help="the folder DatasetNNN_Name")
    add("--processes", type=int, default=2, metavar="N", help="processes of nnU-Net's check (default: 2)")
    add("--without-nnunet", action="store_true", help="only our own checks, which need no nnunetv2")
    add("--python", metavar="FILE", help="Python that has nnunetv2 (default: the one running)")
    add("--json-lines", action="store_true", help="print the result as JSON, for programs")
    add("--verbose", action="store_true", help="print what nnU-Net says")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns 0 if all is well, 1 if there are problems."""
    from ...nnunet import DataSet
    from ...nnunet.runs.process import NnunetRunner
    from ...nnunet.runs.verify import verify, verify_files

    data_set = DataSet.open(options.data_set)
    if options.json_lines:
        return _answer(options, data_set)
    runner = NnunetRunner((options.python or sys.executable,))
    found = verify_files(data_set) if options.without_nnunet else verify(data_set, options.processes, runner)
    if options.verbose and found.nnunet_says:
        print(found.nnunet_says, file=sys.stderr)
    for problem in found.problems:
        print(f"problem: {problem}")
    checked = "our checks" if options.without_nnunet else "our checks and nnU-Net's"
    print(f"{data_set.folder}: {found.training} training and {found.test} test cases; {checked}: {len(found.problems) or 'no'} problems")
    return 1 if found.problems else 0


def _answer(options: argparse.Namespace, data_set) -> int:
    from ...nnunet.runs.process import NnunetRunner
    from ...nnunet.runs.verify import verify, verify_files

    missing = "not asked for" if options.without_nnunet else ""
    found = None
    if not missing:
        runner = NnunetRunner((options.python or sys.executable,))
        try:
            found = verify(data_set, options.processes, runner, cancelled_with_input())
        except MissingPackageError as exc:
            missing = exc.problem  # what to do about it, the program says in its own words
    found = found or verify_files(data_set)
    say(
        "verified", problems=list(found.problems), training=found.training, test=found.test, nnunet=not missing, missing=missing,
        nnunet_says=found.nnunet_says,
    )  # fmt: skip
    return 0
