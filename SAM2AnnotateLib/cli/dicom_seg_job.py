"""``sam2annotate dicom-seg-job``: what Slicer's panel has written as DICOM SEG by another process. Imports the library inside functions.

It speaks to a program only, see `json_lines`: at the end it says ``{"type": "written", "file": ..., "segments": [...]}``.
"""

from __future__ import annotations

import argparse

from .json_lines import say


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "dicom-seg-job", help="for Slicer's panel: write segments that were handed over as DICOM SEG",
        description="Write segments that another program handed over as a job; answers in JSON lines.",
    )  # fmt: skip
    parser.add_argument("job", metavar="JOB", help="the file job.json")
    parser.add_argument("--json-lines", action="store_true", help="accepted as everywhere; there is no other answer")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ..nnunet.sources.dicom_job import read_dicom_job, written_text

    say("progress", done=0, total=None, what="reading the series")
    job = read_dicom_job(options.job)
    written = job.write()
    say("written", file=str(job.output), segments=written_text(written))
    return 0
