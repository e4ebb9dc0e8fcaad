"""`slicer.i18n` and `slicer.packaging`: texts stay as written, and nothing is ever installed. Imports nothing of Slicer."""

from __future__ import annotations

import importlib.metadata
import inspect
import types
from pathlib import Path

from packaging.requirements import Requirement


def i18n_module() -> types.ModuleType:
    """A module with the names of `slicer.i18n`."""
    module = types.ModuleType("slicer.i18n")
    contexts: dict[str, str] = {}

    def getContext(sourceFile):
        if sourceFile not in contexts:
            path = Path(sourceFile)
            in_package = (path.parent / "__init__.py").is_file()
            contexts[sourceFile] = f"{path.parent.name}.{path.stem}" if in_package else path.stem
        return contexts[sourceFile]

    def translate(context, text):
        for value, name in ((context, "context"), (text, "text")):
            if not isinstance(value, str):
                raise TypeError(f"translate() wants str as {name}, got {type(value).__name__}")
        return text

    def tr(text):
        caller = inspect.currentframe().f_back
        return translate(getContext(caller.f_code.co_filename), text)

    module.FILEPATH_TO_CONTEXT = contexts
    module.getContext = getContext
    module.translate = translate
    module.tr = tr
    return module


def packaging_module() -> types.ModuleType:
    """A module with the public names of `slicer.packaging`. What would change the Python environment raises RuntimeError."""
    module = types.ModuleType("slicer.packaging")

    def load_requirements(path):
        lines = (line.split("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
        return [Requirement(line) for line in lines if line]

    def pip_check(req):
        requirements = req if isinstance(req, (list, tuple)) else [req]
        return all(_is_installed(Requirement(str(requirement))) for requirement in requirements)

    def pip_ensure(
        requirements,
        constraints=None,
        skip_packages=None,
        prompt_install=True,
        prompt_restart=True,
        requester=None,
        skip_in_testing=True,
        show_progress=True,
    ):
        if not pip_check(requirements):
            _refuse("pip_ensure", requirements)

    def pip_install(
        requirements,
        constraints=None,
        no_deps_requirements=None,
        skip_packages=None,
        blocking=True,
        show_progress=True,
        requester=None,
        logCallback=None,
        completedCallback=None,
    ):
        _refuse("pip_install", requirements)

    def pip_uninstall(requirements, blocking=True, logCallback=None, completedCallback=None):
        _refuse("pip_uninstall", requirements)

    def isPipInstallInProgress():
        return False

    for function in (load_requirements, pip_check, pip_ensure, pip_install, pip_uninstall, isPipInstallInProgress):
        setattr(module, function.__name__, function)
    return module


def _refuse(function: str, requirements: object) -> None:
    raise RuntimeError(f"slicer.packaging.{function}({requirements!r}): the test host installs nothing; replace the function in the test")


def _is_installed(requirement: Requirement) -> bool:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)
