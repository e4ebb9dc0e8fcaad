"""``sam2annotate nnunet export-job``: what Slicer's panel has written by another process. Imports the library inside functions.

It speaks to a program only, see `json_lines`: a preview says ``{"type": "preview", ...}``, an export ``{"type": "exported", ...}``.
"""

from __future__ import annotations

import argparse

from ..json_lines import say


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "export-job", help="for Slicer's panel: preview or write a case that was handed over as a job",
        description="Preview or write a case that another program handed over as a job; answers in JSON lines.",
    )  # fmt: skip
    add = parser.add_argument
    add("job", metavar="JOB", help="the file job.json")
    add("--preview", action="store_true", help="say what would be written and left out, and write nothing")
    add("--json-lines", action="store_true", help="accepted as everywhere; there is no other answer")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...nnunet.data_sets.job import read_job

    say("progress", done=0, total=None, what="reading the case")
    job = read_job(options.job)
    data_set, case = job.data_set(), job.case()
    if options.preview:
        summary, notes = data_set.preview(case, job.unreviewed, job.resample)
        say(
            "preview",
            written=[
                {
                    "name": one.name,
                    "value": one.value,
                    "label": data_set.plan.rule_of(one.value).name,
                    "voxels": one.voxels,
                    "review": None if one.review is None else {key: one.review[key] for key in ("accepted", "corrected", "unreviewed")},
                }
                for one in summary.segments
            ],
            left_out=[{"name": one.name, "reason": one.reason} for one in summary.left_out],
            missing=list(summary.missing),
            notes=notes,
            replaces=case.case_id in data_set.cases(),
        )
        return 0
    say("progress", done=0, total=None, what=f"writing {case.case_id}")
    report = data_set.export([case], replace_cases=job.replace, unreviewed=job.unreviewed, resample=job.resample)
    say("exported", lines=report.lines(), folder=str(data_set.folder), case=case.case_id)
    return 0
