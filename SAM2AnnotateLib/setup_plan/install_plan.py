"""From what is missing to the calls of pip that add it. Imports: standard library, errors and neighbors."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import MissingPackageError
from .packages import InstalledPackage, canonical_name, release_numbers
from .requirements import REQUIREMENTS, Requirement, RequirementState, RequirementStatus, inspect_optional, missing

CPU_TORCH_INDEX = "https://download.pytorch.org/whl/cpu"

# These say where pip installs, and that it asks nothing. Set for every call: Slicer's users may have set others for their own Pythons.
COMMON_VARIABLES = (("PIP_USER", "0"), ("PIP_REQUIRE_VIRTUALENV", "0"), ("PIP_NO_INPUT", "1"), ("PIP_DISABLE_PIP_VERSION_CHECK", "1"))
# hydra-core and iopath bring these. Each is published as finished wheels, so that a source of it would be an accident: no compiler here.
_BROUGHT_ALONG = ("hydra-core", "omegaconf", "PyYAML", "portalocker", "packaging", "typing_extensions", "tqdm", "pywin32", "colorama")
# sam2 from source compiles a CUDA kernel unless told not to; without the kernel it works as well.
NO_CUDA_BUILD = (("SAM2_BUILD_CUDA", "0"),)
_WHEELS_ONLY = ("--only-binary", ":all:")
_SOURCES = {"hydra-core", "sam2", *(one.name for one in REQUIREMENTS if one.source_only)}  # hydra-core brings a source along


@dataclass(frozen=True)
class InstallStep:
    """One call of ``pip install``. Doing it again changes nothing, so an interrupted set-up makes a new plan and goes on.

    Args:
        name: key of the step; ``torch`` may be done by Slicer's PyTorch extension instead.
        title: what is installed, to show to the user.
        pip_arguments: what follows ``pip install``. The caller adds ``-c`` and the file of `write_constraints`.
        variables: environment variables to set for the call.
        size_text: expected download.
    """

    name: str
    title: str
    pip_arguments: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = COMMON_VARIABLES
    size_text: str = ""


def plan(
    installed: Mapping[str, InstalledPackage],
    offline_folder: str | Path | None = None,
    torch: str | None = None,
    torch_index: str | None = None,
    interrupted: Collection[str] = (),
    requirements: Sequence[Requirement] = REQUIREMENTS,
) -> list[InstallStep]:
    """The calls of pip that complete a Python, in order; none if nothing is missing.

    Args:
        installed: what the Python has, see `installed_packages`.
        offline_folder: take all files from this folder and nothing from a network.
        torch: which torch to install ("torch==2.13.0"); None lets pip choose among those that serve.
        torch_index: package index to take torch from (`CPU_TORCH_INDEX`); None means pip's own. Not used with a folder.
        interrupted: canonical names of half-written packages that an earlier set-up brought along, see `ResumeMarker`.
        requirements: what is to be there: all that a model here takes, or `SERVER_REQUIREMENTS`.

    Raises:
        MissingPackageError: if a package is installed in a version that does not serve; it is not ours to replace.
    """
    lacking = {status.requirement.name: status for status in missing(installed, requirements)}
    _refuse_unfit(lacking.values())
    sources, common = _sources(offline_folder)

    def specifier(requirement: Requirement) -> str:
        return torch if torch is not None and requirement.name == "torch" else requirement.specifier

    def step(name: str, title: str, options: Sequence[str], *members: str) -> None:
        wanted = [lacking[member].requirement for member in members if member in lacking]
        if wanted:
            arguments = (*sources, *options, *(specifier(one) for one in wanted))
            steps.append(InstallStep(name, title, arguments, common, " + ".join(one.size_text for one in wanted)))

    damaged = {canonical_name(name): specifier(one.requirement) for name, one in lacking.items() if one.state is RequirementState.DAMAGED}
    also = {name: f"{name}=={installed[name].version}" if installed[name].version else name for name in interrupted if name not in damaged}
    steps = [_repair(name, wanted, sources, common) for name, wanted in sorted({**damaged, **also}.items())]
    index = ("--index-url", torch_index) if torch_index is not None and offline_folder is None else ()
    step("build-tools", "what builds source packages", _WHEELS_ONLY, "setuptools")
    if _needs_wheel(installed) and not _SOURCES.isdisjoint(lacking):
        steps.append(InstallStep("wheel", "what builds source packages", (*sources, *_WHEELS_ONLY, "wheel"), common, "0.1 MB"))
    step("torch", "PyTorch", (*_WHEELS_ONLY, *index), "torch")
    step("wheels", "small packages", _WHEELS_ONLY, "numpy", "safetensors", "Pillow", "tqdm", "websockets")
    step("sam2-needs", "what sam2 needs", ("--no-build-isolation", "--only-binary", ",".join(_BROUGHT_ALONG)), "hydra-core", "iopath")
    step("sam2", "SAM 2", (*_WHEELS_ONLY, "--no-deps"), "rf-sam-2")  # it names torchvision, which nothing here imports
    steps += [_brought(status, sources, common) for status in inspect_optional(installed) if _is_brought(status, offline_folder)]
    return steps


def _is_brought(status: RequirementStatus, offline_folder: str | Path | None) -> bool:
    """Whether something optional is missing that lies in an offline folder: who made that folder wanted it."""
    if offline_folder is None or status.state not in (RequirementState.MISSING, RequirementState.DAMAGED):
        return False
    return any(Path(offline_folder).glob(f"{status.requirement.import_name}-*.whl"))


def _brought(status: RequirementStatus, sources: Sequence[str], common: tuple[tuple[str, str], ...]) -> InstallStep:
    step = optional_step(status)
    return replace(step, pip_arguments=(*sources, *step.pip_arguments), variables=common)


def optional_step(status: RequirementStatus) -> InstallStep:
    """The call of pip that installs something optional, with what it needs, as wheels."""
    again = ("--ignore-installed", "--no-deps") if status.state is RequirementState.DAMAGED else ()
    wanted = status.requirement
    return InstallStep(wanted.name, wanted.name, (*_WHEELS_ONLY, *again, wanted.specifier), COMMON_VARIABLES, wanted.size_text)


def _repair(name: str, specifier: str, sources: Sequence[str], common: tuple[tuple[str, str], ...]) -> InstallStep:
    """pip takes a half-written package for installed and cannot remove it, so it is written over. What it needs comes with later steps."""
    options = ("--no-build-isolation",) if name in {*_SOURCES, "antlr4-python3-runtime"} else _WHEELS_ONLY
    return InstallStep(
        f"repair-{name}",
        f"{name}, whose installation was interrupted",
        (*sources, *options, "--ignore-installed", "--no-deps", specifier),
        (*common, *NO_CUDA_BUILD),
    )


def _needs_wheel(installed: Mapping[str, InstalledPackage]) -> bool:
    """Whether the installed setuptools is too old to make wheels by itself."""
    setuptools = installed.get("setuptools")
    return setuptools is not None and "wheel" not in installed and release_numbers(setuptools.version) < (70, 1)


def _refuse_unfit(lacking: Iterable[RequirementStatus]) -> None:
    unfit = [status for status in lacking if status.state is RequirementState.UNFIT]
    if not unfit:
        return
    found = "; ".join(f"{one.requirement.name} {one.version} (expected {one.requirement.specifier})" for one in unfit)
    names = " ".join(f'"{one.requirement.specifier}"' for one in unfit)
    raise MissingPackageError(
        f"Installed in a version that SAM 2 cannot use: {found}. The set-up never replaces a package, as another extension may rely on it.",
        f"If none does, run this in Slicer's Python console, restart, and start the set-up again: slicer.util.pip_install('{names}').",
    )


def _sources(offline_folder: str | Path | None) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Where pip takes files from: options and variables."""
    if offline_folder is None:
        return (), COMMON_VARIABLES
    # A configuration file could name further folders and indexes.
    return ("--no-index", "--find-links", str(offline_folder)), (*COMMON_VARIABLES, ("PIP_CONFIG_FILE", os.devnull))
