"""``sam2annotate serve``: lend this machine's model to others; ``serve token``: say who may use it. Imports the server inside functions."""

from __future__ import annotations

import argparse
import functools
import time
from pathlib import Path

from ..errors import InputError
from .engine_options import add_engine_options, engine_wishes
from .server.address import add_address_options

_PORT = 8765  # server.address.DEFAULT_PORT, which is imported only to serve; a test compares them


def add_parser(subparsers) -> None:
    """The command and its sub-command."""
    text = "lend this machine's model to others over the network"
    epilog = "First a token for each user: sam2annotate serve token add NAME --token-file FILE"
    parser = subparsers.add_parser("serve", help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog)
    parser.set_defaults(run=_serve)
    add_engine_options(parser, adapter=False)
    parser.add_argument("--adapter", help=argparse.SUPPRESS)  # refused with a word
    group = parser.add_argument_group("who may use it, and where")
    add = group.add_argument
    add(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="tokens of those who may (see 'serve token add'); it does not start without",
    )
    add_address_options(group, _PORT)
    add("--also", action="append", default=[], metavar="NAME|PATH", help="lend another model besides --checkpoint; may be repeated")
    add("--ray", metavar="ADDRESS", help="compute on a Ray cluster, one device an actor: its address, or 'local' for this machine")
    add("--devices", type=int, default=1, metavar="N", help="with --ray: how many devices (default: 1)")
    group = parser.add_argument_group("limits")
    add = group.add_argument
    add("--sessions", type=int, default=16, metavar="N", help="sessions at once (default: 16)")
    add("--sessions-per-user", type=int, default=4, metavar="N", help="sessions of one user at once (default: 4)")
    add("--idle-minutes", type=float, default=30, metavar="N", help="a session ends after so long without a request (default: 30)")
    add("--resume-minutes", type=float, default=5, metavar="N", help="a session whose connection broke waits so long (default: 5)")
    add("--cache-mb", type=int, default=2048, metavar="N", help="memory for embeddings of all sessions, each device (default: 2048)")
    add("--volumes-mb", type=int, default=4096, metavar="N", help="memory for volumes of all sessions, 1 byte a voxel (default: 4096)")
    add(
        "--volumes-mb-per-user", type=int, metavar="N",
        help="memory for volumes of one user (default: half of --volumes-mb, and at least one volume of --largest-volume-mb)",
    )  # fmt: skip
    add("--largest-volume-mb", type=int, default=1024, metavar="N", help="memory for one volume (default: 1024)")
    _add_token_parser(parser)


def _add_token_parser(parser: argparse.ArgumentParser) -> None:
    below = parser.add_subparsers(dest="serve_command", metavar="token")
    token = below.add_parser("token", help="make, list and revoke tokens", description="Say who may use the server.")
    actions = token.add_subparsers(dest="token_command", metavar="add|list|revoke", required=True)
    for name, text, run in (
        ("add", "make a user's token and print it, this once", _add_token),
        ("list", "who has a token, and until when", _list_tokens),
        ("revoke", "take a user's token away, from a running server too", _revoke_token),
    ):
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        action.set_defaults(run=run)
        action.add_argument("--token-file", type=Path, required=True, metavar="FILE", help="where tokens are kept, as salted hashes")
        if name != "list":
            action.add_argument("name", metavar="NAME", help="of the user: one token each")
        if name == "add":
            action.add_argument("--expires", type=float, metavar="DAYS", help="until it expires (default: never)")


def _serve(options: argparse.Namespace) -> int:
    if options.adapter is not None:
        raise InputError(
            "A server lends its model as it came: what was learned belongs to one object, and each client brings its own.",
            "Leave out --adapter here; give it to the client: sam2annotate segment ... --server URL --adapter FILE",
        )
    if options.token_file is None:
        raise InputError(
            "A server takes a file of tokens: without a token nobody may come in, so it does not start.",
            "sam2annotate serve token add NAME --token-file FILE, then sam2annotate serve --token-file FILE",
        )
    from ..server.address import Address
    from ..server.limits import Limits
    from ..server.run import Settings, serve
    from ..server.seats import LocalSeats

    limits = Limits(
        sessions=options.sessions,
        sessions_per_user=options.sessions_per_user,
        idle_seconds=60 * options.idle_minutes,
        resume_seconds=60 * options.resume_minutes,
        embeddings_bytes=options.cache_mb << 20,
        volumes_bytes=options.volumes_mb << 20,
        volumes_per_user_bytes=_mb_per_user(options) << 20,
        largest_volume_bytes=options.largest_volume_mb << 20,
    )
    address = Address(options.host, options.port, options.certificate, options.key, options.behind_proxy)
    checkpoints = [options.checkpoint, *options.also]
    names = [Path(one).name for one in checkpoints]
    if len(set(names)) < len(names):
        raise InputError(f"Each model is lent by its name, and two have the same: {', '.join(names)}.")

    settings = Settings(address, options.token_file, limits)
    load = functools.partial(_load_models, dict(zip(names, checkpoints, strict=True)), engine_wishes(options))
    say = functools.partial(print, flush=True)
    if options.ray is None:
        serve(settings, lambda: LocalSeats(load(), limits.embeddings_bytes), say)
        return 0
    from ..ray_cluster import cluster
    from ..server.ray_seats import RaySeats

    address.require_safe()
    gpus = 0 if options.device == "cpu" else 1
    with cluster(options.ray) as ray:
        if options.device == "auto" and not ray.cluster_resources().get("GPU"):
            gpus = 0
        serve(settings, lambda: RaySeats(ray, load, limits.embeddings_bytes, options.devices, gpus, options.sessions), say)
    return 0


def _mb_per_user(options: argparse.Namespace) -> int:
    asked = options.volumes_mb_per_user
    return max(options.volumes_mb // 2, options.largest_volume_mb) if asked is None else asked


def _load_models(checkpoints: dict[str, str], wishes: dict) -> dict:
    """Models by the name that clients call them; in the process that computes."""
    from ..engine import load_engine

    return {name: load_engine(checkpoint, **wishes) for name, checkpoint in checkpoints.items()}


def _add_token(options: argparse.Namespace) -> int:
    from ..server.tokens import TokenFile

    print(TokenFile(options.token_file).add(options.name, options.expires))
    return 0


def _list_tokens(options: argparse.Namespace) -> int:
    from ..server.tokens import TokenFile

    for entry in TokenFile(options.token_file).entries():
        until = "never expires" if not entry.expires else f"until {time.strftime('%Y-%m-%d %H:%M', time.localtime(entry.expires))}"
        over = ", expired" if entry.is_expired(time.time()) else ""
        print(f"{entry.name}\t{time.strftime('%Y-%m-%d', time.localtime(entry.created))}\t{until}{over}")
    return 0


def _revoke_token(options: argparse.Namespace) -> int:
    from ..server.tokens import TokenFile

    TokenFile(options.token_file).revoke(options.name)
    print(f"'{options.name}' has no token any more; what was open under it ends at once.")
    return 0
