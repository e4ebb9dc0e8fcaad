"""``sam2annotate nnunet``: nnU-Net data sets, and what is done with them. Imports the commands below it; the library inside functions."""

from __future__ import annotations

from . import export, job, training, verify


def add_parser(subparsers) -> None:
    """Register the command and its subcommands."""
    parser = subparsers.add_parser(
        "nnunet", help="data sets for nnU-Net from reviewed segments; training, prediction, evaluation",
        description="Write, check and use nnU-Net data sets.",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="nnunet_command", metavar="COMMAND", required=True)
    export.add_parser(commands)
    job.add_parser(commands)
    verify.add_parser(commands)
    training.add_parsers(commands)
