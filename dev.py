"""Set up SAM2Annotate in `.venv` and run it: one entry for Linux, macOS and Windows. Imports: standard library only.

    python3 dev.py demo             install what is missing, then show the library at work on the sample data
    python3 dev.py test [ARGS]      install, ruff check, then pytest with ARGS (a finding of ruff fails the command, the tests still run)
    python3 dev.py test --quick     the same without what takes long: models, nnU-Net, whole studies, processes, panels
    python3 dev.py lint             install, then ruff check, ruff format --check, bandit and mypy
    python3 dev.py setup            only install
    python3 dev.py gpu-check        install what it takes to run models, then try them on the GPU of this machine (CUDA), in 8 minutes
                                    (--minutes N): equality, speed against stock SAM 2, memory, training; one JSON file and a table

Every step of the installation that is complete is noted in `.venv/setup-stamps.json`: the next start skips it, and an interrupted
installation goes on where it stopped. Delete that file to run every step again, or the folder `.venv` to begin anew.
"""

import sys

OLDEST_PYTHON = (3, 10)


def python_problem(version):
    """One line if this Python is too old to go on, else None. Stands before all imports so that an old Python gets to say it."""
    if tuple(version[:2]) >= OLDEST_PYTHON:
        return None
    wanted, found = (".".join(str(part) for part in parts[:2]) for parts in (OLDEST_PYTHON, version))
    return f"This is Python {found}; SAM2Annotate needs {wanted} or newer. Install it from python.org and start dev.py with it."


if python_problem(sys.version_info):
    sys.exit("dev.py: " + python_problem(sys.version_info))

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent

# PyPI's torch for Linux carries CUDA libraries of some GB. A machine without a GPU can offer pip a CPU build beside PyPI (a folder or an
# index in pip's own configuration), but pip takes it only if PyPI has nothing newer. So the release is pinned: "+cpu" builds sort first.
TORCH_ANY = "torch>=2.5.1"  # the oldest that sam2 accepts, for platforms and Pythons that the pinned release does not serve
TORCH_PINNED = "torch==2.13.0"
# From 2.13 on, torch's license files lie 171 characters deep. With the folder they are installed to, that is longer than the 260 that
# Windows allows a path unless long paths are switched on; pip then breaks off (github.com/pytorch/test-infra/issues/8094).
TORCH_ON_WINDOWS = "torch>=2.5.1,<2.13"
if sys.platform == "win32":
    TORCH_PINNED = TORCH_ANY = TORCH_ON_WINDOWS

# Names and bounds agree with pyproject.toml's extras; Testing/Library/test_dev.py compares them.
PACKAGING_TOOLS = ("pip>=22.3", "setuptools>=77", "wheel")
WHEELS = (
    "numpy",
    "SimpleITK",
    "pydicom>=3",
    "scipy",
    "Pillow",
    "safetensors",
    "tqdm",
    "nibabel",
    "slicerio",
    "PyYAML",
    "jinja2",
    "websockets>=15",
    "fastapi>=0.115",
    "uvicorn>=0.36",
    "SQLAlchemy>=2.0",
    "alembic>=1.16",
    "argon2-cffi>=23",
    "krippendorff>=0.8",
    "psycopg[binary]>=3.1",
    "playwright>=1.45",
    "pytest",
    "pytest-xdist",
    "ruff",
    "mypy",
    "bandit",
)
# Slicer's non-Qt half, a Qt to stand in for the other half, and CMake for the packaging: for the tests of the Slicer module.
SLICER_TESTS = ("slicer-core>=5.13", "PySide6-Essentials>=6.8", "cmake")
SAM2_NEEDS = ("hydra-core", "iopath")
# Readers of Slicer's and DICOM's segmentations, and the trainer that data sets are written for.
NNUNET = ("highdicom", "matplotlib", "nnunetv2>=2.8")
# Runs a study on a cluster; its tests start one on this machine.
CLUSTER = "ray>=2.9"
SAM2 = "rf-sam-2>=1.0.3,<2"
SAM2_BEFORE = "sam2"  # the same package as source; the two are never installed together

# The second engine's package. `--only-binary` and the pinned torch: it brings no torchvision and leaves torch as it is.
TRANSFORMERS = "transformers>=5.20,<6"

# Set by another program (3D Slicer, an IDE, a user's pip set-up), these would send the environment's Python or pip elsewhere.
FOREIGN_VARIABLES = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONEXECUTABLE",
    "PYTHONPLATLIBDIR",
    "__PYVENV_LAUNCHER__",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_TARGET",
)

INTERRUPTED = 130  # the exit code of a program stopped by Ctrl+C


class SetupError(Exception):
    """The installation cannot go on; the message is one line that says what to do."""


@dataclass(frozen=True)
class Step:
    """One call of pip.

    Args:
        name: key of the step's stamp.
        title: what is installed, with its expected size or time.
        attempts: arguments of ``pip install``; the next is tried only where pip says that the one before has no build for this machine.
        variables: environment variables for the call.
        made_from: what else the result depends on; a change of it repeats the step.
    """

    name: str
    title: str
    attempts: tuple[tuple[str, ...], ...]
    variables: tuple[tuple[str, str], ...] = ()
    made_from: str = ""

    def fingerprint(self, python_version: str) -> str:
        """A hash that changes if the step would install something else."""
        content = json.dumps([self.name, self.attempts, self.variables, self.made_from, python_version])
        return hashlib.sha256(content.encode()).hexdigest()


def plan_steps(root: Path) -> list[Step]:
    """The calls of pip that complete a fresh virtual environment, in order."""
    pyproject = (root / "pyproject.toml").read_text(encoding="utf-8")
    return [
        Step("tools", "pip, setuptools and wheel (about 4 MB)", (PACKAGING_TOOLS,)),
        Step(
            "torch",
            "PyTorch (100-250 MB, a few minutes; about 3 GB on Linux if pip finds only PyPI's build with CUDA)",
            ((TORCH_PINNED,), (TORCH_ANY,)),
        ),
        # Nothing here is worth compiling on a user's machine: without a finished wheel, say so at once.
        Step("wheels", "NumPy, SciPy, SimpleITK and the test tools (about 150 MB)", (("--only-binary", ":all:", *WHEELS),)),
        Step("slicer-tests", "Slicer's core, VTK and Qt for tests (about 300 MB)", (("--only-binary", ":all:", *SLICER_TESTS),)),
        Step("sam2-needs", "what sam2 needs (under 1 MB, built here)", (("--no-build-isolation", *SAM2_NEEDS),)),
        # sam2's code as a wheel. It names torchvision, which our use of it never imports.
        Step("sam2", "SAM 2 (under 1 MB)", (("--only-binary", ":all:", "--no-deps", SAM2),)),
        Step("transformers", "transformers, for EdgeTAM and SAM 3 (about 25 MB)", (("--only-binary", ":all:", TRANSFORMERS), WHEELS[:1])),
        # Some of what nnU-Net needs is published as (pure Python) source only. It names torchvision, whose newest release would replace the
        # pinned torch unless that is named again.
        Step("nnunet", "nnU-Net and readers of segmentations (about 250 MB, some built here)", ((TORCH_PINNED, *NNUNET), NNUNET)),
        # Ray has no build for some machines that all else runs on; there its tests are left out, and the second attempt changes nothing.
        Step("cluster", "Ray, for studies on a cluster (about 70 MB)", (("--only-binary", ":all:", CLUSTER), WHEELS[:1])),
        Step(
            "project",
            "SAM2Annotate itself, from this folder",
            (("--no-build-isolation", "--no-deps", "--editable", str(root)),),
            made_from=pyproject,
        ),
    ]


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without what would lead Python or pip out of `.venv`."""
    kept = {name: value for name, value in environ.items() if name not in FOREIGN_VARIABLES}
    return {**kept, "PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def venv_python(root: Path, platform: str = sys.platform) -> Path:
    """The interpreter of the virtual environment, which need not exist yet."""
    return root / ".venv" / ("Scripts/python.exe" if platform == "win32" else "bin/python")


def run_showing(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a program in sight of the user. Standard output stays the terminal's own (pip draws its progress bar there).

    Returns:
        The exit code, and what went to standard error, which was shown too.
    """
    error_lines = []
    with subprocess.Popen(command, env=dict(environment), stderr=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            sys.stderr.flush()
            error_lines.append(line)
    return process.returncode, "".join(error_lines)


def venv_version(python: Path, environment: Mapping[str, str]) -> str | None:
    """Version and machine of an interpreter that starts, is new enough and has pip ("3.11 x86_64"), else None."""
    code = (
        "import platform, sys, pip; "
        f"sys.exit(1) if sys.version_info < {OLDEST_PYTHON} else print('%d.%d' % sys.version_info[:2], platform.machine())"
    )
    try:
        answer = subprocess.run([str(python), "-c", code], env=dict(environment), capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def has_no_build(pip_errors: str) -> bool:
    """Whether pip reached the index and found nothing there for this platform and Python."""
    return "No matching distribution found" in pip_errors and not _network_failed(pip_errors)


def _network_failed(pip_errors: str) -> bool:
    signs = (
        "NewConnectionError",
        "Failed to establish a new connection",
        "Max retries exceeded",
        "NameResolutionError",
        "name resolution",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "Read timed out",
        "Network is unreachable",
        "Connection aborted",
        "ProxyError",
        "ConnectionResetError",
        "IncompleteRead",
    )
    return any(sign in pip_errors for sign in signs)


def explain_failure(step: Step, pip_errors: str) -> str:
    """One line: which step failed, why as far as pip told, and what to do."""
    if "No space left on device" in pip_errors:
        remedy = "the disk is full. Free some GB, then start the command again."
    elif "CERTIFICATE_VERIFY_FAILED" in pip_errors:
        remedy = "the package index's certificate was refused. Behind a company proxy, set PIP_CERT to its certificate file."
    elif _network_failed(pip_errors):
        remedy = "no network, or the package index did not answer. Check the connection or HTTPS_PROXY, then start the command again."
    elif has_no_build(pip_errors):
        remedy = "there is no build for this system and Python. Use a 64-bit Python 3.10 to 3.13 on Linux, Windows or an Apple silicon Mac."
    elif "Permission denied" in pip_errors or "Access is denied" in pip_errors:
        remedy = "a file may not be written. Close programs that use .venv, check who owns this folder, then start the command again."
    else:
        remedy = "see pip's message above. Start the command again; if it fails the same way, delete the folder .venv first."
    return f"Step '{step.name}' failed: {remedy}"


# Compiled against one torch, these do not load with another ("operator torchvision::nms does not exist"), and then every package that tries
# them for its own ends fails. Nothing here needs them; nnU-Net's packages bring one along.
BOUND_TO_TORCH = ("torchvision", "torchaudio")
MUST_LOAD = ("numpy", "scipy", "SimpleITK", "safetensors", "torch", "sam2", "nnunetv2")
_LOADS = """
import importlib, importlib.util, sys
for name in sys.argv[1:]:
    if importlib.util.find_spec(name) is not None:
        try:
            importlib.import_module(name)
        except Exception as problem:
            print(name, " ".join(f"{type(problem).__name__}: {problem}".split())[:300])
            break
"""


def load_fault(python: Path, environment: Mapping[str, str]) -> str:
    """The first installed package that cannot be imported, and why, in one line; empty if all can, or nobody can tell."""
    command = [str(python), "-c", _LOADS, *MUST_LOAD, *BOUND_TO_TORCH]
    try:
        answer = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return answer.stdout.strip()


class Setup:
    """Brings `.venv` up to date.

    Args:
        root: the project's folder.
        environ: the caller's environment variables.
        run: runs a program in sight of the user and gives its exit code and standard error, like `run_showing`.
        probe: says what an interpreter is, like `venv_version`.
        say: shows one line.
        check: says which package does not load, like `load_fault`.
    """

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        run: Callable[[Sequence[str], Mapping[str, str]], tuple[int, str]] = run_showing,
        probe: Callable[[Path, Mapping[str, str]], str | None] = venv_version,
        say: Callable[[str], None] = lambda line: print(line, flush=True),
        check: Callable[[Path, Mapping[str, str]], str] = load_fault,
    ):
        self.root = root
        self.python = venv_python(root)
        self.environment = clean_environment(environ)
        self.run, self.say = run, say
        self._probe, self._check = probe, check
        self._stamp_file = root / ".venv" / "setup-stamps.json"

    def bring_up_to_date(self, without: Sequence[str] = ()) -> None:
        """Create `.venv` if there is none that works, and run the steps that are not done.

        Args:
            without: names of steps to leave out.

        Raises:
            SetupError: if a step fails. Steps that were completed stay so.
        """
        steps = [step for step in plan_steps(self.root) if step.name not in without]
        version = self._probe(self.python, self.environment)
        if version is None:
            self._announce(1, len(steps), "virtual environment in .venv (a few seconds)")
            version = self._create_venv()
        stamps = {name: stamp for name, stamp in self._read_stamps().items() if name != "loads"}
        for number, step in enumerate(steps, start=2):
            if stamps.get(step.name) == step.fingerprint(version):
                continue
            self._announce(number, len(steps), step.title)
            start = time.monotonic()
            self._install(step)
            self.say(f"      done in {time.monotonic() - start:.0f} s")
            stamps[step.name] = step.fingerprint(version)
            self._write_stamps(stamps)
        checked = hashlib.sha256(json.dumps([stamps, _LOADS, MUST_LOAD]).encode()).hexdigest()
        if self._read_stamps().get("loads") != checked:
            self._require_loading()
            self._write_stamps({**stamps, "loads": checked})

    def _require_loading(self) -> None:
        """Import what was installed; take away what does not fit torch and is not needed. Raises SetupError if something else fails."""
        for _ in (*BOUND_TO_TORCH, None):
            fault = self._check(self.python, self.environment)
            if not fault:
                return
            name = fault.split()[0]
            if name not in BOUND_TO_TORCH:
                break
            self.say(f"      {name} was built for another torch ({fault}); nothing here needs it, so it is removed")
            self.run([str(self.python), "-m", "pip", "uninstall", "--yes", name], self.environment)
        raise SetupError(f"A package does not load: {fault}. Delete the folder .venv and start the command again.")

    def _announce(self, number: int, pip_steps: int, title: str) -> None:
        self.say(f"[{number}/{pip_steps + 1}] {title}")

    def _create_venv(self) -> str:
        if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
            raise SetupError(
                "This Python cannot make virtual environments (no ensurepip). "
                "On Debian or Ubuntu: sudo apt install python3-venv; elsewhere take Python from python.org."
            )
        # A .venv that does not start, is too old or was cut short before it had pip is replaced whole.
        code, _ = self.run([sys.executable, "-m", "venv", "--clear", str(self.root / ".venv")], self.environment)
        version = self._probe(self.python, self.environment) if code == 0 else None
        if version is None:
            raise SetupError(
                f"No virtual environment could be made in '{self.root / '.venv'}' (see above). Delete that folder, start again."
            )
        return version

    def _install(self, step: Step) -> None:
        environment = {**self.environment, **dict(step.variables)}
        if step.name == "sam2" and any((self.root / ".venv").glob(f"[lL]ib/**/site-packages/{SAM2_BEFORE}-[0-9]*.dist-info")):
            self.run([str(self.python), "-m", "pip", "uninstall", "--yes", SAM2_BEFORE], environment)
        for requirements in step.attempts:
            code, errors = self.run([str(self.python), "-m", "pip", "install", *requirements], environment)
            if code == 0:
                return
            if requirements is step.attempts[-1] or not has_no_build(errors):
                raise SetupError(explain_failure(step, errors))
            self.say(f"      no build of {' '.join(requirements)} for this machine; trying the next choice")

    def _read_stamps(self) -> dict[str, str]:
        try:
            stamps = json.loads(self._stamp_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamps if isinstance(stamps, dict) else {}

    def _write_stamps(self, stamps: Mapping[str, str]) -> None:
        partial = self._stamp_file.with_suffix(".partial")
        partial.write_text(json.dumps(stamps, indent=1), encoding="utf-8")
        partial.replace(self._stamp_file)


# What opens the page of `sam2annotate crowd` in tests; Debian's name first.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Not recommended packages: fonts and helpers that nothing here needs. With time limits: without network it is over soon.
APT_INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "-o", "Acquire::http::Timeout=20", "-o", "DPkg::Lock::Timeout=60")
APT_UPDATE = ("apt-get", "update", "-o", "Acquire::http::Timeout=20")


def is_root() -> bool:
    """Whether this process may install programs of the system; on Windows never."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def bring_browser(setup: Setup, find: Callable[[str], str | None] = shutil.which, may_install: Callable[[], bool] = is_root) -> None:
    """Install Debian's Chromium for the tests of the page, where that may be done; else say in one line how, and go on. Tried once."""
    tried = setup.root / ".venv" / "browser-tried"
    if any(find(name) for name in BROWSERS) or tried.exists():
        return
    remedy = "tests of the page will be skipped. To run them: apt-get install chromium (as root), then delete .venv/browser-tried"
    if not find("apt-get") or not may_install():
        problem = "no Chromium here, and this program may not install it"
    else:
        setup.say("      Chromium, for tests of the page (about 100 MB)")
        variables = {**setup.environment, "DEBIAN_FRONTEND": "noninteractive"}
        commands = ((*APT_INSTALL, "chromium"), APT_UPDATE, (*APT_INSTALL, "chromium"))
        for command in commands:
            if setup.run(command, variables)[0] == 0 and command != APT_UPDATE:
                return
        problem = "apt-get could not install Chromium (see above)"
    setup.say(f"      {problem}: {remedy}")
    tried.parent.mkdir(exist_ok=True)
    tried.write_text(f"{problem}\n", encoding="utf-8")


# One process a core, each taking whole files of tests, so that what a file prepares is prepared once; in their order, so that the files
# with few long tests do not come last.
SIDE_BY_SIDE = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")
# What looks for openings to an attacker: findings of medium weight and more, in what is shipped.
SCANNED = ("-q", "-ll", "-r", "SAM2AnnotateLib", "SAM2Annotate")
QUICK = ("-m", "not slow and not long")

# What each command runs with the environment's Python, in order, and whether it stands in the project's folder. The caller's further
# arguments go to the last.
COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "demo": (("SAM2AnnotateLib", "demo"),),
    "test": (("ruff", "check"), ("pytest", *SIDE_BY_SIDE)),
    "lint": (("ruff", "check"), ("ruff", "format", "--check"), ("bandit", *SCANNED), ("mypy",)),
    "setup": (),
    "gpu-check": (("SAM2AnnotateLib.benchmark.gpu_check",),),
}
# Steps of the installation that a command can do without; all others need them all.
NOT_NEEDED = {"gpu-check": ("slicer-tests", "nnunet", "cluster")}

# A program of the system: only who runs the tests gets it.
WITH_BROWSER = ("test",)


def run_command(name: str, arguments: Sequence[str], setup: Setup, call: Callable[..., int] = subprocess.call) -> int:
    """Run the modules of a command, all of them even if one fails. Returns the last exit code that is not 0, else 0.

    The demo and the GPU check run where the caller stands, so that paths given to them mean what they say; the others run in the
    project's folder.
    """
    result = 0
    modules = COMMANDS[name]
    for position, module in enumerate(modules, start=1):
        further = [word for argument in arguments for word in (QUICK if argument == "--quick" else (argument,))]
        further = further if position == len(modules) else []
        folder = None if name in ("demo", "gpu-check") else setup.root
        code = call([str(setup.python), "-m", *module, *further], env=setup.environment, cwd=folder)
        if code != 0:
            result = code
            if position < len(modules):
                print(f"dev.py: {' '.join(module)} failed (exit code {code}); this command fails whatever follows.", flush=True)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    name, *further = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    if name in ("-h", "--help", "help"):
        print(__doc__)
        return 0
    if name not in COMMANDS:
        print(f"dev.py: unknown command '{name}'. Choose from {', '.join(COMMANDS)}; 'dev.py --help' explains them.", file=sys.stderr)
        return 2
    if name in ("lint", "setup") and further:
        print(f"dev.py: '{name}' takes no arguments, got: {' '.join(further)}", file=sys.stderr)
        return 2
    setup = Setup(ROOT, os.environ)
    try:
        setup.bring_up_to_date(*([NOT_NEEDED[name]] if name in NOT_NEEDED else []))
        if name in WITH_BROWSER:
            bring_browser(setup)
        if name == "setup":
            print(f"Ready: {setup.python}")
        return run_command(name, further, setup)
    except SetupError as exc:
        print(f"dev.py: {exc}", file=sys.stderr)
        return 1
    except OSError as exc:
        print(f"dev.py: {exc}. Check who owns this folder and whether the disk is full.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndev.py: stopped. Start the same command again to go on.", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
