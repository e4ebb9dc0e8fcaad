"""The extension, built and installed once a session. Imports pytest and extension_build."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_build import ROOT, Extension, build_and_install, configure, what_is_missing


@pytest.fixture(scope="session")
def cmake_works() -> None:
    """Skips what needs CMake where it, or what it needs, is not installed."""
    missing = what_is_missing()
    if missing:
        pytest.skip(f"needs {missing}; `pip install cmake ninja` brings CMake and a build program")


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory, cmake_works: None) -> Extension:
    """This repository as an extension, built and installed."""
    built = Extension(tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("installed"))
    configured = configure(ROOT, built.build)
    assert configured.returncode == 0, configured.stdout + configured.stderr
    build_and_install(built.build, built.prefix)
    return built


@pytest.fixture(scope="session")
def installed_extension(extension: Extension) -> Path:
    """The folder of the installed extension that has SAM2Annotate.py and, beside it, SAM2AnnotateLib."""
    return extension.modules
