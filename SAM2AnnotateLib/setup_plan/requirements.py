"""The packages that running SAM 2 takes, and how a Python stands to each. Imports: standard library and packages.

Names and bounds agree with the extra ``engine`` of pyproject.toml (a test compares them). Torchvision is not among them: sam2 names it, but
its video path, the only one used here, never imports it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from .packages import InstalledPackage, canonical_name, release_numbers


@dataclass(frozen=True)
class Requirement:
    """One package that must be there.

    Args:
        name: as pip knows it.
        import_name: as Python imports it.
        why: what it is for, to show to the user.
        size_mb: download in MB (10^6 bytes) as published, rounded up; None if it depends on the machine (then `size_note` tells).
        size_note: the size in words, where a number does not say it.
        oldest: first version that serves, or None.
        below: first version that is too new, or None.
        install_below: first version that is not installed anew, although one that is there serves; None if there is none.
        instead: another distribution of the same package, which serves where it is installed. The two are never installed together.
        source_only: whether it is published as source alone, so that it is built on the spot (pure Python: no compiler takes part).
    """

    name: str
    import_name: str
    why: str
    size_mb: float | None
    size_note: str = ""
    oldest: str | None = None
    below: str | None = None
    source_only: bool = False
    install_below: str | None = None
    instead: Requirement | None = None

    @property
    def specifier(self) -> str:
        """Name and bounds as pip takes them."""
        bounds = [f">={self.oldest}"] if self.oldest else []
        below = self.install_below or self.below
        return self.name + ",".join([*bounds, f"<{below}"] if below else bounds)

    @property
    def size_text(self) -> str:
        """The size as the user reads it."""
        return self.size_note or (f"{self.size_mb:g} MB" if self.size_mb is not None else "unknown")


# From 2.13 on, torch's license files lie 171 characters deep. In Slicer's own folder of packages that is longer than the 260 that Windows
# allows a path unless long paths are switched on: pip breaks off half-way (Slicer's light-the-torch, issue 176).
_TORCH_BELOW = "2.13" if sys.platform == "win32" else None

# What Meta publishes itself is source alone, which pip builds with a second torch and a CUDA kernel unless told not to. rf-sam-2 is the
# same code as a wheel: of 1.1.0 only the predictor for single images and its transforms differ, which nothing here uses; tests hold ours
# to the bit. Who has the former keeps it.
_SAM2_AS_SOURCE = Requirement("sam2", "sam2", "SAM 2 itself", 0.2, oldest="1.1", below="2", source_only=True)

# Sizes: of the files on the package index, summer 2026. Those of hydra-core and iopath include what they bring along.
REQUIREMENTS = (
    Requirement("setuptools", "setuptools", "builds what is published as source", 2, oldest="61"),
    Requirement("numpy", "numpy", "arrays (part of Slicer)", 22),
    Requirement(
        "torch",
        "torch",
        "PyTorch: computes the model",
        None,
        "100 to 250 MB; 3 GB with CUDA on Linux",
        oldest="2.5.1",
        install_below=_TORCH_BELOW,
    ),
    Requirement("safetensors", "safetensors", "reads the bundled model", 1),
    Requirement("Pillow", "PIL", "imported by sam2", 8),
    Requirement("tqdm", "tqdm", "imported by sam2", 0.1),
    Requirement("hydra-core", "hydra", "builds the model from its description", 2),
    Requirement("iopath", "iopath", "imported by sam2", 0.3, source_only=True),
    Requirement("rf-sam-2", "sam2", "SAM 2 itself", 0.2, oldest="1.0.3", below="2", instead=_SAM2_AS_SOURCE),
)

# What one button of the panel takes, and nothing else: installed only when the user says so.
OPTIONAL = (
    Requirement("highdicom", "highdicom", "writes DICOM segmentations; optional", 4),
    Requirement("transformers", "transformers", "runs EdgeTAM and SAM 3; optional", 25, oldest="5.20", below="6"),
)


# All that it takes where a server runs the model.
SERVER_REQUIREMENTS = (
    Requirement("numpy", "numpy", "arrays (part of Slicer)", 22),
    Requirement("websockets", "websockets", "speaks to the server", 0.3, oldest="15"),
)


class RequirementState(Enum):
    """How a Python stands to a requirement."""

    READY = "ready"
    MISSING = "missing"
    DAMAGED = "damaged"  # pip was stopped while it wrote it
    UNFIT = "unfit"  # another version is installed, which the set-up must not replace


@dataclass(frozen=True)
class RequirementStatus:
    """A requirement, its state, and the installed version if there is one."""

    requirement: Requirement
    state: RequirementState
    version: str | None


def inspect(installed: Mapping[str, InstalledPackage], requirements: Sequence[Requirement] = REQUIREMENTS) -> tuple[RequirementStatus, ...]:
    """How a Python with these packages stands to every requirement, in their order."""
    return tuple(_status(_chosen(one, installed), installed) for one in requirements)


def missing(installed: Mapping[str, InstalledPackage], requirements: Sequence[Requirement] = REQUIREMENTS) -> tuple[RequirementStatus, ...]:
    """The requirements that are not ready."""
    return tuple(status for status in inspect(installed, requirements) if status.state is not RequirementState.READY)


def inspect_optional(installed: Mapping[str, InstalledPackage]) -> tuple[RequirementStatus, ...]:
    """How a Python with these packages stands to what is optional."""
    return tuple(_status(one, installed) for one in OPTIONAL)


def _chosen(requirement: Requirement, installed: Mapping[str, InstalledPackage]) -> Requirement:
    """The requirement, or what serves instead of it and is there."""
    if requirement.instead is None or canonical_name(requirement.name) in installed:
        return requirement
    return requirement.instead if canonical_name(requirement.instead.name) in installed else requirement


def _status(requirement: Requirement, installed: Mapping[str, InstalledPackage]) -> RequirementStatus:
    package = installed.get(canonical_name(requirement.name))
    if package is None:
        return RequirementStatus(requirement, RequirementState.MISSING, None)
    if not package.complete:
        state = RequirementState.DAMAGED
    elif _fits(requirement, package.version):
        state = RequirementState.READY
    else:
        state = RequirementState.UNFIT
    return RequirementStatus(requirement, state, package.version)


def _fits(requirement: Requirement, version: str) -> bool:
    numbers = release_numbers(version)
    new_enough = requirement.oldest is None or numbers >= release_numbers(requirement.oldest)
    return new_enough and (requirement.below is None or numbers < release_numbers(requirement.below))
