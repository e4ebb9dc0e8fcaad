"""Options of the commands that serve something: where, and how it is kept from others' eyes. Imports the standard library."""

from __future__ import annotations

from pathlib import Path


def add_address_options(parser, port: int) -> None:
    """``--host``, ``--port``, ``--certificate``, ``--key``, ``--behind-proxy``, as `server.address.Address` takes them.

    Args:
        parser: a parser, or a group of one.
        port: by default.
    """
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, this machine alone)")
    add("--port", type=int, default=port, help=f"port to listen at (default: {port})")
    add("--certificate", type=Path, metavar="PEM", help="the server's certificate, for TLS")
    add("--key", type=Path, metavar="PEM", help="the certificate's key")
    add(
        "--behind-proxy",
        nargs="?",
        const="127.0.0.1",
        metavar="ADDRESS",
        help="a proxy at this address (default: 127.0.0.1) has TLS and says where requests come from",
    )
