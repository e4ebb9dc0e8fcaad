"""``sam2annotate server-check``: what a server that lends its model is, and whether it lets us in. Imports `remote` inside functions."""

from __future__ import annotations

import argparse
from dataclasses import asdict

_EXAMPLES = """examples:
  sam2annotate server-check https://sam.hospital.example:8765 --token-file my.token
  SAM2ANNOTATE_TOKEN=... sam2annotate server-check http://127.0.0.1:8765
The exit code is 0 if a session can be opened there, else 2. PyTorch and SAM 2 are not needed here; websockets is.
"""


def add_server_options(parser: argparse.ArgumentParser):
    """``--token-file``, ``--ca-file``; returns their group."""
    group = parser.add_argument_group("server")
    add = group.add_argument
    add("--token-file", metavar="FILE", help="file with the token (default: the environment variable SAM2ANNOTATE_TOKEN)")
    add("--ca-file", metavar="FILE", help="certificates (PEM) of the authority that the server's is signed by (default: the system's)")
    return group


def access_from(address: str, options: argparse.Namespace):
    """What the options say of a server."""
    from ...remote.address import ServerAccess, ServerAddress, token_from

    return ServerAccess(ServerAddress.parse(address), token_from(options.token_file), options.ca_file)


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "server-check", help="say what a server that lends its model is", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Connect to a server that lends its model: say its version, device, models, and the time of a round trip.",
    )  # fmt: skip
    parser.add_argument("address", metavar="URL", help="https://HOST:PORT; plain http only for this very machine")
    add_server_options(parser)
    parser.add_argument("--json-lines", action="store_true", help="print the result as JSON, for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...remote.about import ask_about
    from ..json_lines import say

    about = ask_about(access_from(options.address, options))
    if options.json_lines:
        say("server", line=about.line, **asdict(about))
    else:
        print(f"{about.address}: {about.line}")
    return 0
