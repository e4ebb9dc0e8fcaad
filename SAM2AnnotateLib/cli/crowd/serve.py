"""``sam2annotate crowd serve``: the page, for everybody who was invited. Imports the library inside functions."""

from __future__ import annotations

import argparse
import functools

from ..server.address import add_address_options
from .options import add_command, add_project_options, open_records, read

_PORT = 8780  # crowd.web.run.DEFAULT_PORT, which is imported only to serve; a test compares them
_EXAMPLES = """\
what stands in project.yaml counts from the start of the server on. Ctrl+C ends it; nothing that was saved is lost.

examples:
  sam2annotate crowd serve livers                                             this machine alone: http://127.0.0.1:8780
  sam2annotate crowd serve livers --host 0.0.0.0 --certificate server.pem --key server.key
  sam2annotate crowd serve livers --behind-proxy                              a proxy on this machine has TLS
  sam2annotate crowd serve livers spleens --database postgresql://crowd@db/crowd
"""


def add_parser(commands) -> None:
    """Register the command."""
    parser = add_command(commands, "serve", "serve the page to everybody who was invited", _EXAMPLES)
    parser.set_defaults(run=run)
    add_project_options(parser, several=True)
    add_address_options(parser, _PORT)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...crowd.web.run import serve
    from ...server.address import Address

    address = Address(options.host, options.port, options.certificate, options.key, options.behind_proxy)
    address.require_safe()
    projects = [read(folder) for folder in options.folders]
    with open_records(projects, options.database, may_upgrade=True) as records:
        serve(records, projects, address, functools.partial(print, flush=True))
    return 0
