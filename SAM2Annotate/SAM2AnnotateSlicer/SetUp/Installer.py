"""Installer: what the set-up does, without any widget. Imports Slicer's pip, the process of commands, and the library's set-up plan.

Nothing happens at import or in the constructor. Packages are installed by Slicer's own pip on the main thread, step by step; downloads and
checks run in a process of their own. What is installed already stays as it is: pip gets it as constraints, and it is compared afterwards.
"""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CalledProcessError

from SAM2AnnotateLib.engine.models.checkpoints import CHECKPOINTS, cache_folder, local_file
from SAM2AnnotateLib.engine.models.model_configs import NATIVE_SIZES_ELSEWHERE
from SAM2AnnotateLib.errors import InputError, MissingPackageError, OutputError, SAM2AnnotateError
from SAM2AnnotateLib.progress import Progress, ProgressCallback
from SAM2AnnotateLib.setup_plan import (
    REQUIREMENTS,
    SERVER_REQUIREMENTS,
    InstalledPackage,
    InstallStep,
    OfflineFolder,
    Requirement,
    RequirementState,
    RequirementStatus,
    ResumeMarker,
    explain_pip_failure,
    inspect,
    inspect_optional,
    installed_packages,
    missing,
    optional_step,
    plan,
    replaced_packages,
    write_constraints,
)
from SAM2AnnotateLib.setup_plan.install_plan import CPU_TORCH_INDEX

from ..Model.CommandProcess import CommandProcess
from ..Model.ServerSettings import Server
from .SlicerPip import PipInstall, TorchInstaller, environmentVariables, pyTorchExtension, slicerPipInstall

_PIP_PROBLEMS = (CalledProcessError, RuntimeError, OSError, ImportError, ValueError)  # what slicer.util and PyTorchUtils raise


@dataclass(frozen=True)
class SetUpRow:
    """What the user is told about one package or model.

    Args:
        name: of the package, or of the model.
        purpose: what it is for; of a model, its license.
        state: ``ready``, ``missing``, ``damaged``, ``unfit`` of a package; ``bundled``, ``ready``, ``not downloaded`` of a model.
        detail: installed version, or "".
        size: of the download, in words.
        where: the folder it lies in or goes to.
    """

    name: str
    purpose: str
    state: str
    detail: str
    size: str
    where: str


class Installer:
    """Says what is missing, installs it, gets models, checks.

    Args:
        pipInstall: by default Slicer's.
        findTorchInstaller: gives what installs PyTorch, or None if pip is to do it; by default it looks for Slicer's PyTorch extension.
        python: interpreter and options for commands; by default PythonSlicer.
        searchPath: where packages are looked for; by default `sys.path`.
        packageFolder: where pip puts packages; by default this Python's.
    """

    def __init__(
        self,
        pipInstall: PipInstall = slicerPipInstall,
        findTorchInstaller: Callable[[], TorchInstaller | None] = pyTorchExtension,
        python: Sequence[str] | None = None,
        searchPath: Sequence[str] | None = None,
        packageFolder: str | Path | None = None,
    ):
        self._pipInstall, self._findTorchInstaller = pipInstall, findTorchInstaller
        self._searchPath = searchPath
        self.packageFolder = Path(packageFolder if packageFolder is not None else sysconfig.get_paths()["purelib"])
        self._command = CommandProcess(self._onReport, self._onEnd, python)
        self._receivers: tuple[ProgressCallback | None, Callable] | None = None
        self._result: dict | None = None
        self._installing = False
        self._restartNeeded = False
        self.log = ""  # what pip wrote in the last step

    @property
    def busy(self) -> bool:
        """Whether an installation or a command is under way."""
        return self._installing or self._command.running

    @property
    def commandRunning(self) -> bool:
        """Whether something is under way that `cancel` can end."""
        return self._command.running

    @property
    def commandLog(self) -> str:
        """What the last command wrote to standard error."""
        return self._command.log

    @property
    def restartNeeded(self) -> bool:
        """Whether Slicer must be restarted before the set-up is complete."""
        marker = self.pending()
        return self._restartNeeded or (marker is not None and marker.restart_pending)

    def pending(self) -> ResumeMarker | None:
        """A set-up that was begun and not finished, for instance before Slicer was restarted."""
        return ResumeMarker.read(str(self.packageFolder))

    def describe(self, onServer: bool = False) -> list[SetUpRow]:
        """Every package that is needed, and how it stands; `onServer`: where a server runs the model."""
        return [self._row(status) for status in inspect(self._installed(), _requirements(onServer))]

    def describeOptional(self) -> list[SetUpRow]:
        """Every package that one button takes, and nothing else."""
        return [self._row(status) for status in inspect_optional(self._installed())]

    def describeModels(self) -> list[SetUpRow]:
        """Every model that is known by name, and whether its weights are here."""
        rows = []
        for checkpoint in CHECKPOINTS.values():
            file = local_file(checkpoint)
            state = "bundled" if checkpoint.url is None else "ready" if file is not None else "not downloaded"
            size = "unknown" if checkpoint.size_bytes is None else f"{checkpoint.size_bytes / 1e6:.0f} MB"
            where = str(file if file is not None else cache_folder())
            rows.append(SetUpRow(checkpoint.name, checkpoint.license, state, "", size, where))
        return rows

    def missing(self, onServer: bool = False) -> tuple[RequirementStatus, ...]:
        """The packages that are not ready."""
        return missing(self._installed(), _requirements(onServer))

    def usesPyTorchExtension(self) -> bool:
        """Whether PyTorch would come by Slicer's PyTorch extension."""
        return self._findTorchInstaller() is not None

    def install(
        self,
        progress: ProgressCallback | None = None,
        offlineFolder: str | Path | None = None,
        cpuTorch: bool = False,
        onServer: bool = False,
    ) -> None:
        """Install what is missing; done again after a failure, an interruption or a restart, it goes on where it stopped.

        It blocks until pip is done. Call `check` afterwards.

        Args:
            progress: told the steps that are done and the title of the next.
            offlineFolder: take everything from this folder, see ``sam2annotate offline-folder``; it is compared with its list first.
            cpuTorch: take the smaller PyTorch without CUDA, if it comes by pip.
            onServer: install only what it takes where a server runs the model.

        Raises:
            SAM2AnnotateError: with what to do. Packages that were there are as they were, unless the message says otherwise.
        """
        if self.busy:
            raise InputError("A set-up is under way. Wait until it has ended.")
        if threading.current_thread() is not threading.main_thread():
            raise InputError("Packages can be installed on the main thread only.")
        report = progress if progress is not None else _ignore
        self._installing = True
        try:
            self._install(report, offlineFolder, cpuTorch, _requirements(onServer))
        finally:
            self._installing = False

    def installOptional(self, name: str) -> None:
        """Install one of the optional packages; it blocks until pip is done. The caller has asked the user.

        Raises:
            SAM2AnnotateError: with what to do. Packages that were there are as they were, unless the message says otherwise.
        """
        if self.busy:
            raise InputError("A set-up is under way. Wait until it has ended.")
        before = self._installed()
        status = next(one for one in inspect_optional(before) if one.requirement.name == name)
        if status.state is RequirementState.READY:
            return
        self._requireWritable()
        self._installing = True
        try:
            with tempfile.TemporaryDirectory(prefix="sam2annotate-", ignore_cleanup_errors=True) as temporary:
                self._do(optional_step(status), write_constraints(Path(temporary) / "constraints.txt", before), offline=False)
                self._requireUnchanged(before)
        finally:
            self._installing = False
        if any(one.requirement.name == name and one.state is not RequirementState.READY for one in inspect_optional(self._installed())):
            raise MissingPackageError(f"pip ended well, but {name} is still missing. Restart Slicer and try again.")

    def licenseToAgreeTo(self, name: str) -> str:
        """The license of a model's weights, if a person has to agree to it before they come; else ""."""
        return "" if CHECKPOINTS[name].permissive else CHECKPOINTS[name].license

    def packageFor(self, name: str) -> SetUpRow | None:
        """The optional package that a model runs on and that is not ready; None if it needs none, or it is there."""
        if CHECKPOINTS[name].architecture not in NATIVE_SIZES_ELSEWHERE:
            return None
        return next((row for row in self.describeOptional() if row.name == "transformers" and row.state != "ready"), None)

    def downloadModel(self, name: str, progress: ProgressCallback, done: Callable[[SAM2AnnotateError | None], None]) -> None:
        """Get a model's weights without blocking; `done` is called with None or the error. Raises WorkerError if it does not start.

        Who calls it has asked the person to agree to the license, see `licenseToAgreeTo`.
        """
        self._start(["models", "download", name, "--agree"], progress, lambda error, _result: done(error))

    def importWeights(self, folder: str | Path, progress: ProgressCallback, done: Callable[[SAM2AnnotateError | None], None]) -> None:
        """Copy the weights of an offline folder into the cache without blocking; else as `downloadModel`."""
        self._start(["models", "import", str(folder)], progress, lambda error, _result: done(error))

    def check(self, done: Callable[[bool, str], None], checkpoint: str = "bundled", device: str = "auto") -> None:
        """Run a model on a phantom without blocking; `done` gets whether all is well, and the line for the user.

        Raises:
            WorkerError: if Slicer's Python cannot be started.
        """

        def receive(error: SAM2AnnotateError | None, result: dict | None) -> None:
            if result is not None and result.get("type") == "self-check":
                done(bool(result["ok"]), str(result["line"]))
            else:
                done(False, str(error) if error is not None else "The check ended without a result. The log has the details.")

        self._start(["self-check", "--checkpoint", checkpoint, "--device", device], None, receive)

    def checkServer(self, server: Server, done: Callable[[SAM2AnnotateError | None, dict | None], None]) -> None:
        """Connect to a server without blocking; `done` gets the error, or what `sam2annotate server-check` says of the server.

        Raises:
            WorkerError: if Slicer's Python cannot be started.
        """
        authority = ["--ca-file", server.caFile] if server.caFile else []
        self._start(["server-check", *authority, server.address], None, done, server.token)

    def cancel(self) -> None:
        """End the command that is running; its receiver gets `Cancelled`. pip is never ended halfway."""
        self._command.cancel()

    def cleanup(self) -> None:
        """End what runs without telling anyone; for module reload and application exit."""
        self._receivers = None
        self._command.kill()

    def _install(
        self, report: ProgressCallback, offlineFolder: str | Path | None, cpuTorch: bool, requirements: Sequence[Requirement]
    ) -> None:
        marker = self.pending()
        if marker is not None and marker.restart_pending:
            raise InputError("Slicer must be restarted first. Then start the set-up again: it goes on where it stopped.")
        folder = OfflineFolder.open(offlineFolder) if offlineFolder is not None else None
        if folder is not None:
            folder.verify(report)
        before = self._installed()
        interrupted = marker.interrupted_packages(before) if marker is not None else []
        steps = plan(
            before, None if folder is None else folder.path, None, CPU_TORCH_INDEX if cpuTorch else None, interrupted, requirements
        )
        if not steps:
            ResumeMarker.clear()
            return
        self._requireWritable()
        loaded = [status.requirement.name for status in missing(before, requirements) if self._isLoaded(status.requirement.import_name)]
        known = marker.installed_before if marker is not None else tuple(sorted(name for name, one in before.items() if one.complete))
        place = None if folder is None else str(folder.path)
        with tempfile.TemporaryDirectory(prefix="sam2annotate-", ignore_cleanup_errors=True) as temporary:
            constraints = write_constraints(Path(temporary) / "constraints.txt", before)
            for number, step in enumerate(steps):
                report(Progress(number, len(steps), step.title))
                marker = ResumeMarker(str(self.packageFolder), known, place, step.title)
                marker.write()
                self._do(step, constraints, offline=folder is not None)
                self._requireUnchanged(before)
        report(Progress(len(steps), len(steps), ""))
        remaining = missing(self._installed(), requirements)
        if remaining:
            names = ", ".join(status.requirement.name for status in remaining)
            raise MissingPackageError(f"pip ended well, but these are still missing: {names}. Restart Slicer and start the set-up again.")
        ResumeMarker.clear()
        # Slicer's process has an earlier build in memory; the worker, a process of its own, has not.
        self._restartNeeded = bool(loaded)

    def _row(self, status: RequirementStatus) -> SetUpRow:
        wanted = status.requirement
        return SetUpRow(wanted.name, wanted.why, status.state.value, status.version or "", wanted.size_text, str(self.packageFolder))

    def _do(self, step: InstallStep, constraints: Path, offline: bool) -> None:
        torchInstaller = self._findTorchInstaller() if step.name == "torch" and not offline else None
        logFile = constraints.parent / f"{step.name}.log"
        variables = dict(step.variables)
        try:
            if torchInstaller is not None:
                # A URL, because pip splits the variable at spaces.
                with environmentVariables({**variables, "PIP_CONSTRAINT": constraints.as_uri(), "PIP_LOG": str(logFile)}):
                    torchInstaller(step.pip_arguments[-1].removeprefix("torch"))
            else:
                with environmentVariables(variables):
                    self._pipInstall(["--log", str(logFile), *step.pip_arguments, "-c", str(constraints)])
        except _PIP_PROBLEMS as exc:
            self.log = _read(logFile) or str(exc)
            text = explain_pip_failure(step.title, self.log, offline)
            if "Restart Slicer" in text:
                self._noteRestart()
            raise MissingPackageError(text) from exc
        self.log = _read(logFile)

    def _requireUnchanged(self, before: Mapping[str, InstalledPackage]) -> None:
        replaced = replaced_packages(before, self._installed())
        if not replaced:
            return
        self._noteRestart()
        changes = ", ".join(f"{name} {old} -> {new or 'gone'}" for name, (old, new) in sorted(replaced.items()))
        pins = " ".join(f"{name}=={old}" for name, (old, _) in sorted(replaced.items()))
        raise MissingPackageError(
            f"The set-up was stopped because packages of Slicer were replaced against its wish: {changes}. "
            f"To have them back, run this in the Python console and restart Slicer: slicer.util.pip_install('{pins}')."
        )

    def _noteRestart(self) -> None:
        marker = self.pending()
        if marker is not None:
            replace(marker, restart_needed=True).write()

    def _requireWritable(self) -> None:
        if not os.access(self.packageFolder, os.W_OK):
            raise OutputError(
                f"Slicer's folder '{self.packageFolder}' may not be written, so no packages can be installed. "
                "Install Slicer where you may write, or have an administrator run the set-up."
            )

    def _installed(self) -> dict[str, InstalledPackage]:
        importlib.invalidate_caches()
        return installed_packages(self._searchPath)

    def _isLoaded(self, importName: str) -> bool:
        """Whether Slicer's own process has imported it from the package folder."""
        file = getattr(sys.modules.get(importName), "__file__", None)
        return file is not None and self.packageFolder in Path(file).parents

    def _start(self, arguments: list[str], progress: ProgressCallback | None, receive: Callable, token: str = "") -> None:
        if self.busy:
            raise InputError("A set-up is under way. Wait until it has ended, or cancel it.")
        self._result, self._receivers = None, (progress, receive)
        self._command.start(arguments, token)

    def _onReport(self, report: dict) -> None:
        if report.get("type") != "progress":
            self._result = report
        elif self._receivers is not None and self._receivers[0] is not None:
            self._receivers[0](Progress(report["done"], report["total"], report["what"]))

    def _onEnd(self, error: SAM2AnnotateError | None) -> None:
        receivers, self._receivers = self._receivers, None
        if receivers is not None:
            receivers[1](error, self._result)


def _requirements(onServer: bool) -> tuple[Requirement, ...]:
    return SERVER_REQUIREMENTS if onServer else REQUIREMENTS


def _read(logFile: Path) -> str:
    try:
        return logFile.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # pip did not come so far


def _ignore(progress: Progress) -> None:
    """Progress that nobody wants to see."""
