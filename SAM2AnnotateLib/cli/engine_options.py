"""The options that choose model and device, shared by the commands that run one. Imports the engine inside functions."""

from __future__ import annotations

import argparse


def add_engine_options(parser: argparse.ArgumentParser, adapter: bool = True) -> None:
    """``--checkpoint``, ``--adapter`` unless it makes no sense, ``--package``, ``--device``, ``--precision``, ``--image-size``."""
    group = parser.add_argument_group("model")
    add = group.add_argument
    names = "a name of 'sam2annotate models', or a .pt or .safetensors file"
    add("--checkpoint", default="bundled", metavar="NAME|PATH", help=f"{names} (default: bundled)")
    if adapter:
        add_adapter_option(group)
    else:
        parser.set_defaults(adapter=None)
    add("--architecture", metavar="NAME", help="for a file that does not tell which architecture its weights are of")
    add_package_option(group)
    add("--device", default="auto", help="auto, cuda, mps or cpu (default: auto)")
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"), help="fp32 repeats stock SAM 2 exactly (default: auto)")
    sizes = "the model's own, on a CPU at most 512"
    add("--image-size", type=int, metavar="N", help=f"pixels per side that the model works at (default: {sizes})")


def add_adapter_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """``--adapter``."""
    parser.add_argument("--adapter", metavar="OBJECT", help="what was learned of the object, a file of 'sam2annotate adapt'")


def add_package_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """``--package``."""
    text = "what runs the model; transformers runs EdgeTAM and SAM 3, which sam2 cannot, and SAM 2 (default: auto, sam2 where both can)"
    parser.add_argument("--package", default="auto", choices=("auto", "sam2", "transformers"), help=text)


def engine_from(options: argparse.Namespace):
    """Load the engine that the options ask for."""
    from ..engine import load_engine

    return load_engine(options.checkpoint or "bundled", **engine_wishes(options))


def engine_wishes(options: argparse.Namespace) -> dict:
    """The arguments of `load_engine` that the options say, but for the checkpoint."""
    return {name: getattr(options, name) for name in ("architecture", "device", "precision", "image_size", "adapter", "package")}
