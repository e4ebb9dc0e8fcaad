"""The set-up page and what it does: nothing before a click, what is installed stays, a failure says what to do. pip is a stand-in here."""

from __future__ import annotations

import json
import os
import sys
import time
import types
from pathlib import Path
from subprocess import CalledProcessError

import pytest
import slicer

from SAM2AnnotateLib.errors import Cancelled, InputError, MissingPackageError, OutputError, SAM2AnnotateError
from SAM2AnnotateLib.setup_plan import OfflineFolder, ResumeMarker
from SAM2AnnotateSlicer.SetUp.Installer import Installer
from SAM2AnnotateSlicer.SetUp.SetUpPage import SetUpPage

SLICERS_OWN = {"numpy": "1.26.4", "requests": "2.32.3", "setuptools": "80.9.0", "Pillow": "10.4.0"}
BROUGHT_BY = {  # what each call of pip is to leave behind
    "torch": {"torch": "2.13.0", "sympy": "1.14.0"},
    "safetensors": {"safetensors": "0.8.0"},
    "tqdm": {"tqdm": "4.70.1"},
    "hydra-core": {"hydra_core": "1.3.8"},
    "iopath": {"iopath": "0.1.10"},
    "rf-sam-2": {"rf-sam-2": "1.0.3"},
    "highdicom": {"highdicom": "0.28.2"},
    "transformers": {"transformers": "5.24.0"},
}


def writePackage(site: Path, name: str, version: str, whole: bool = True) -> None:
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    if whole:
        (info / "RECORD").write_text("", encoding="utf-8")


class FakePip:
    """Leaves packages behind as pip would; `fails` maps a part of a call to what pip then writes to its log."""

    def __init__(self, site: Path, fails: dict[str, str] | None = None):
        self.site, self.fails = site, fails or {}
        self.calls: list[list[str]] = []
        self.constraints: list[str] = []
        self.sam2BuildCuda: list[str | None] = []

    def __call__(self, arguments):
        self.calls.append(list(arguments))
        self.constraints.append(Path(arguments[arguments.index("-c") + 1]).read_text("utf-8"))
        self.sam2BuildCuda.append(os.environ.get("SAM2_BUILD_CUDA"))
        log = Path(arguments[arguments.index("--log") + 1])
        for part, text in self.fails.items():
            if any(one.startswith(part) for one in arguments):
                log.write_text(text, encoding="utf-8")
                raise CalledProcessError(1, "pip install")
        log.write_text("Successfully installed\n", encoding="utf-8")
        for name, brought in BROUGHT_BY.items():
            if any(one == name or one.startswith((f"{name}>", f"{name}=")) for one in arguments):
                for package, version in brought.items():
                    writePackage(self.site, package, version)

    @staticmethod
    def doNothing(arguments) -> None:
        """A pip that ends well and leaves nothing."""

    def asked(self) -> list[str]:
        """The last requirement of each call."""
        return [call[call.index("-c") - 1] for call in self.calls]


@pytest.fixture
def site(tmp_path) -> Path:
    """The package folder of a fresh Slicer."""
    folder = tmp_path / "site-packages"
    for name, version in SLICERS_OWN.items():
        writePackage(folder, name, version)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(folder))
    return folder


def anInstaller(site: Path, pip=None, torch=None, **options) -> Installer:
    options = {"python": [sys.executable], **options}
    return Installer(pip or FakePip(site), lambda: torch, searchPath=[str(site)], packageFolder=site, **options)


def waitUntil(condition, seconds: float = 60.0) -> None:
    """Let the event loop run, as in Slicer, until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        slicer.app.processEvents()
        time.sleep(0.01)


def states(installer: Installer) -> dict[str, str]:
    return {row.name: row.state for row in installer.describe()}


# -- installing -----------------------------------------------------------------------------------------------------------------


def test_a_fresh_slicer_is_described_and_completed(site):
    pip = FakePip(site)
    installer = anInstaller(site, pip)
    assert states(installer) == {
        "setuptools": "ready", "numpy": "ready", "Pillow": "ready", "torch": "missing", "safetensors": "missing", "tqdm": "missing",
        "hydra-core": "missing", "iopath": "missing", "rf-sam-2": "missing",
    }  # fmt: skip
    seen = []
    installer.install(seen.append)
    assert pip.asked() == ["torch>=2.5.1", "tqdm", "iopath", "rf-sam-2>=1.0.3,<2"]
    assert [(one.done, one.total) for one in seen] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert installer.missing() == ()
    assert installer.pending() is None
    assert not installer.restartNeeded


def test_what_is_optional_is_installed_only_when_asked_for(site):
    pip = FakePip(site)
    installer = anInstaller(site, pip)
    assert [(row.name, row.state) for row in installer.describeOptional()] == [("highdicom", "missing"), ("transformers", "missing")]
    installer.install()
    assert "highdicom" not in " ".join(pip.asked()) and installer.missing() == ()  # the set-up is whole without it
    installer.installOptional("highdicom")
    assert pip.asked()[-1] == "highdicom" and "--only-binary" in pip.calls[-1] and "numpy==1.26.4" in pip.constraints[-1]
    assert [row.state for row in installer.describeOptional()] == ["ready", "missing"]
    calls = len(pip.calls)
    installer.installOptional("highdicom")
    assert len(pip.calls) == calls


def test_something_optional_that_cannot_be_had_is_told_and_the_set_up_stays_whole(site):
    with pytest.raises(MissingPackageError, match="highdicom is still missing"):
        anInstaller(site, FakePip.doNothing).installOptional("highdicom")
    failing = FakePip(site, {"highdicom": "ERROR: No matching distribution found for highdicom"})
    with pytest.raises(MissingPackageError):
        anInstaller(site, failing).installOptional("highdicom")
    assert not anInstaller(site).busy


def test_every_call_of_pip_is_given_slicers_packages_as_pins(site):
    pip = FakePip(site)
    anInstaller(site, pip).install()
    assert len(pip.constraints) == 4
    for text in pip.constraints:
        assert {"numpy==1.26.4", "requests==2.32.3", "setuptools==80.9.0", "pillow==10.4.0"} <= set(text.splitlines())


def test_nothing_is_told_to_build_and_the_environment_is_as_before(site, monkeypatch):
    monkeypatch.setenv("PIP_USER", "1")
    before = dict(os.environ)
    pip = FakePip(site)
    anInstaller(site, pip).install()
    assert pip.sam2BuildCuda == [None] * 4  # SAM 2 comes as a wheel
    assert dict(os.environ) == before


def test_torch_comes_by_slicers_extension_where_there_is_one(site):
    asked = []

    def extension(versionRequirement):
        asked.append((versionRequirement, os.environ["PIP_CONSTRAINT"]))
        writePackage(site, "torch", "2.13.0+cu126")

    pip = FakePip(site)
    installer = anInstaller(site, pip, extension)
    assert installer.usesPyTorchExtension()
    installer.install()
    assert asked[0][0] == ">=2.5.1"
    assert asked[0][1].startswith("file://")  # pip splits the variable at spaces
    assert not any("torch" in one for one in pip.asked())


def test_the_cpu_torch_comes_from_its_own_index(site):
    pip = FakePip(site)
    anInstaller(site, pip).install(cpuTorch=True)
    assert "--index-url" in pip.calls[0]
    assert all("--index-url" not in call for call in pip.calls[1:])


def test_a_failed_step_is_told_with_its_remedy_and_taken_up_again(site):
    failing = FakePip(site, {"rf-sam-2": "OSError: [Errno 28] No space left on device"})
    with pytest.raises(MissingPackageError, match="Could not install SAM 2: the disk is full"):
        anInstaller(site, failing).install()
    again = FakePip(site)
    installer = anInstaller(site, again)
    assert installer.pending().step == "SAM 2"
    installer.install()
    assert again.asked() == ["rf-sam-2>=1.0.3,<2"]
    assert installer.pending() is None


def test_a_package_that_the_interrupted_set_up_left_half_written_is_written_anew(site):
    with pytest.raises(MissingPackageError):
        anInstaller(site, FakePip(site, {"torch": "killed"})).install()
    writePackage(site, "sympy", "1.14.0", whole=False)
    pip = FakePip(site)
    anInstaller(site, pip).install()
    assert "--ignore-installed" in pip.calls[0]
    assert pip.asked()[0] == "sympy==1.14.0"
    assert "sympy" not in pip.constraints[0]


def test_a_half_written_package_of_someone_else_is_left_alone(site):
    writePackage(site, "theirs", "1.0", whole=False)
    pip = FakePip(site)
    anInstaller(site, pip).install()
    assert all("--ignore-installed" not in call for call in pip.calls)


def test_a_package_of_slicer_that_was_replaced_all_the_same_stops_the_set_up(site):
    class RudePip(FakePip):
        def __call__(self, arguments):
            super().__call__(arguments)
            (self.site / "numpy-1.26.4.dist-info").rename(self.site / "numpy-2.4.0.dist-info")
            writePackage(self.site, "numpy", "2.4.0")

    pip = RudePip(site)
    installer = anInstaller(site, pip)
    with pytest.raises(MissingPackageError, match=r"numpy 1.26.4 -> 2.4.0.*pip_install\('numpy==1.26.4'\)"):
        installer.install()
    assert len(pip.calls) == 1
    assert installer.restartNeeded


def test_a_file_in_use_asks_for_a_restart_before_it_goes_on(site):
    installer = anInstaller(site, FakePip(site, {"torch": "PermissionError: [WinError 5] Access is denied: 'c10.dll'"}))
    with pytest.raises(MissingPackageError, match="Restart Slicer"):
        installer.install()
    pip = FakePip(site)
    with pytest.raises(InputError, match="must be restarted first"):
        anInstaller(site, pip).install()
    assert pip.calls == []


def test_a_version_that_does_not_serve_is_not_replaced(site):
    writePackage(site, "torch", "2.2.2")
    pip = FakePip(site)
    installer = anInstaller(site, pip)
    assert states(installer)["torch"] == "unfit"
    with pytest.raises(MissingPackageError, match="torch 2.2.2"):
        installer.install()
    assert pip.calls == []


def test_what_to_do_against_it_in_the_console_stands_in_the_log_alone(site):
    writePackage(site, "torch", "2.2.2")
    page = aPage(anInstaller(site, FakePip(site)))
    page.ui.installButton.click()
    assert "torch 2.2.2" in page.ui.statusLabel.text and "pip_install" not in page.ui.statusLabel.text
    assert "Update or remove the extension" in page.ui.statusLabel.text and "slicer.util.pip_install" in page.ui.logView.plainText


def test_a_pip_that_ends_well_and_installs_nothing_is_noticed(site):
    installer = Installer(FakePip.doNothing, lambda: None, searchPath=[str(site)], packageFolder=site)
    with pytest.raises(MissingPackageError, match="still missing: torch, safetensors"):
        installer.install()


def test_a_package_that_slicer_still_has_in_memory_asks_for_a_restart(site, monkeypatch):
    earlier = types.ModuleType("tqdm")
    earlier.__file__ = str(site / "tqdm" / "__init__.py")
    monkeypatch.setitem(sys.modules, "tqdm", earlier)
    installer = anInstaller(site)
    installer.install()
    assert installer.restartNeeded


def test_a_folder_that_is_not_there_is_told_before_pip_runs(site, tmp_path):
    pip = FakePip(site)
    installer = Installer(pip, lambda: None, searchPath=[str(site)], packageFolder=tmp_path / "gone")
    with pytest.raises(OutputError, match="may not be written"):
        installer.install()
    assert pip.calls == []


# -- from a folder --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def offlineFolder(tmp_path) -> Path:
    import platform

    folder = tmp_path / "offline"
    folder.mkdir()
    (folder / "sam2-1.1.0-py3-none-any.whl").write_bytes(b"a wheel")
    OfflineFolder.write_manifest(folder, f"{sys.version_info.major}.{sys.version_info.minor}", platform.system())
    return folder


def test_an_offline_folder_is_the_only_source(site, offlineFolder):
    pip = FakePip(site)
    asked = []
    anInstaller(site, pip, asked.append).install(offlineFolder=offlineFolder)
    assert asked == []  # the PyTorch extension would use the network
    assert all("--no-index" in call and str(offlineFolder) in call for call in pip.calls)
    assert len(pip.calls) == 4


def test_a_damaged_offline_folder_is_refused_before_pip_runs(site, offlineFolder):
    (offlineFolder / "sam2-1.1.0-py3-none-any.whl").write_bytes(b"a-wheel")
    pip = FakePip(site)
    with pytest.raises(InputError, match="damaged"):
        anInstaller(site, pip).install(offlineFolder=offlineFolder)
    assert pip.calls == []


# -- commands in their own process ----------------------------------------------------------------------------------------------


def test_the_check_runs_beside_the_event_loop_and_ends_with_one_line(site):
    results = []
    installer = anInstaller(site)
    installer.check(lambda ok, line: results.append((ok, line)), device="cpu")
    assert installer.busy
    with pytest.raises(InputError, match="under way"):
        installer.install()
    waitUntil(lambda: results)
    assert results[0][0], results
    assert results[0][1].startswith("ok, ")
    assert not installer.busy


def test_a_check_that_fails_says_why(site):
    results = []
    anInstaller(site).check(lambda ok, line: results.append((ok, line)), checkpoint="no-such-model")
    waitUntil(lambda: results)
    assert results == [(False, results[0][1])]
    assert "no-such-model" in results[0][1]


def test_a_command_can_be_cancelled_at_once(site):
    results = []
    installer = anInstaller(site)
    installer.check(lambda *told: results.append(told))
    start = time.monotonic()
    installer.cancel()
    assert time.monotonic() - start < 2
    assert results == [(False, "Stopped on request.")]
    assert not installer.busy


def test_cleanup_ends_a_command_without_telling_anyone(site):
    results = []
    installer = anInstaller(site)
    installer.check(lambda *told: results.append(told))
    installer.cleanup()
    assert not installer.busy
    assert results == []


def test_a_python_that_is_not_there_is_told(site):
    results = []
    anInstaller(site, python=["/no/such/PythonSlicer"]).check(lambda ok, line: results.append((ok, line)))
    waitUntil(lambda: results)
    assert results[0][0] is False
    assert "cannot be started" in results[0][1]


def test_a_download_reports_progress_and_its_error(site, tmp_path):
    # In place of the library's command: what it prints, and how it fails.
    lines = [json.dumps({"type": "progress", "done": 5, "total": 10, "what": "Downloading x (bytes)"}), "a library's own print"]
    code = f"import sys; print({lines[0]!r}); print({lines[1]!r}); sys.stderr.write('sam2annotate: error: no connection\\n'); sys.exit(2)"
    script = tmp_path / "python.py"
    script.write_text(code, encoding="utf-8")
    seen, ended = [], []
    installer = anInstaller(site, python=[sys.executable, str(script)])
    installer.downloadModel("sam2.1_hiera_tiny", seen.append, ended.append)
    waitUntil(lambda: ended)
    assert [(one.done, one.total) for one in seen] == [(5, 10)]
    assert isinstance(ended[0], SAM2AnnotateError)
    assert not isinstance(ended[0], Cancelled)
    assert str(ended[0]) == "no connection"


def test_models_are_described_with_their_state(site, cache):
    cache.mkdir()
    (cache / "sam2.1_hiera_tiny.pt").write_bytes(b"")
    described = {row.name: row for row in anInstaller(site).describeModels()}
    assert described["bundled"].state == "bundled"
    assert described["sam2.1_hiera_tiny"].state == "ready"
    assert (described["sam2.1_hiera_large"].state, described["sam2.1_hiera_large"].size) == ("not downloaded", "898 MB")
    assert described["sam2.1_hiera_large"].where == str(cache)


# -- the page -------------------------------------------------------------------------------------------------------------------


def aPage(installer: Installer, folder: str = "") -> SetUpPage:
    return SetUpPage(installer, askFolder=lambda: folder)


def shown(table) -> list[list[str]]:
    return [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]


def test_opening_the_page_installs_and_downloads_nothing(site, cache):
    pip = FakePip(site)
    page = aPage(anInstaller(site, pip))
    slicer.app.processEvents()
    assert pip.calls == []
    assert not cache.exists()
    assert not page.installer.busy
    rows = shown(page.ui.packagesTable)
    assert ["torch", "missing", "100 to 250 MB; 3 GB with CUDA on Linux", str(site)] in rows
    assert ["numpy", "ready (1.26.4)", "22 MB", str(site)] in rows
    assert shown(page.ui.modelsTable)[0][:3] == ["bundled", "bundled", "8 MB"]


def test_every_control_has_a_tooltip_and_a_disabled_button_says_why(site):
    ui = aPage(anInstaller(site)).ui
    controls = (ui.installButton, ui.offlineButton, ui.checkButton, ui.downloadButton, ui.cancelButton, ui.cpuTorchCheckBox)
    assert all(control.toolTip for control in controls)
    assert ui.installButton.enabled
    assert not ui.checkButton.enabled
    assert "Packages are missing" in ui.checkButton.toolTip
    assert not ui.cancelButton.enabled
    assert "Nothing is running" in ui.cancelButton.toolTip
    assert "Choose a model" in ui.downloadButton.toolTip


def test_only_a_model_that_is_not_here_can_be_downloaded(site):
    page = aPage(anInstaller(site))
    page.chooseModel("bundled")
    assert not page.ui.downloadButton.enabled
    assert "are here" in page.ui.downloadButton.toolTip
    page.chooseModel("sam2.1_hiera_tiny")
    assert page.ui.downloadButton.enabled


def test_a_license_is_agreed_to_and_a_models_own_package_installed_before_its_weights_come(site, monkeypatch):
    pip = FakePip(site)
    page, asked, fetched, answers = aPage(anInstaller(site, pip)), [], [], []
    page.confirm = lambda question: asked.append(question) or answers.pop(0)
    monkeypatch.setattr(page.installer, "downloadModel", lambda name, *_rest: fetched.append(name))
    for name, said, words in (
        ("medsam2", [False], "research and education only"),
        ("edgetam", [False], "transformers (25 MB)"),
        ("edgetam", [True], "transformers (25 MB)"),
        ("medsam2", [True], "research and education only"),
    ):
        answers[:] = said
        page.chooseModel(name)
        page.onDownload()
        assert words in asked[-1] and not answers
        assert fetched[-1:] == ([name] if said[0] else [])
        if not said[0]:
            assert page.ui.statusLabel.text.startswith("Nothing was downloaded")
    assert len(asked) == 4 and [one for one in pip.asked() if "transformers" in one] == ["transformers>=5.20,<6"]
    page.chooseModel("sam2.1_hiera_tiny")
    page.onDownload()
    assert fetched[-1] == "sam2.1_hiera_tiny" and len(asked) == 4


def test_a_click_installs_and_checks(site):
    pip = FakePip(site)
    page = aPage(anInstaller(site, pip))
    changes = []
    page.changed.connect(lambda: changes.append(1))
    page.ui.installButton.click()
    assert len(pip.calls) == 4
    assert page.installer.commandRunning  # the check
    assert not page.ui.installButton.enabled
    assert page.ui.cancelButton.enabled
    waitUntil(lambda: not page.installer.busy)
    assert page.ui.statusLabel.text.startswith("Check: ok, ")
    assert changes
    assert page.ui.checkButton.enabled
    assert "Everything is installed" in page.ui.installButton.toolTip


def test_a_failed_installation_is_shown_with_its_remedy_and_the_log(site):
    page = aPage(anInstaller(site, FakePip(site, {"torch": "ERROR: No matching distribution found for torch"})))
    page.ui.installButton.click()
    assert "Could not install PyTorch: there is no torch for this system" in page.ui.statusLabel.text
    assert "No matching distribution" in page.ui.logView.plainText
    assert page.ui.installButton.enabled


def test_while_pip_works_the_user_cannot_start_it_twice(site):
    tried = []

    class ClickingPip(FakePip):
        def __call__(self, arguments):
            tried.append([page.ui.installButton.enabled, page.ui.cancelButton.enabled])
            page.ui.installButton.click()
            super().__call__(arguments)

    pip = ClickingPip(site)
    page = aPage(anInstaller(site, pip))
    page.ui.installButton.click()
    assert tried == [[False, False]] * 4
    assert len(pip.calls) == 4
    page.cleanup()


def test_a_page_that_was_closed_while_pip_worked_stays_closed(site):
    class ClosingPip(FakePip):
        def __call__(self, arguments):
            super().__call__(arguments)
            if len(self.calls) == 1:
                page.cleanup()
                page.widget.delete()

    pip = ClosingPip(site)
    page = aPage(anInstaller(site, pip))
    page.onInstall()
    assert len(pip.calls) == 4  # what was begun is finished
    assert not page.installer.busy


def test_an_offline_folder_is_installed_copied_and_checked(site, offlineFolder):
    page = aPage(anInstaller(site), str(offlineFolder))
    page.ui.offlineButton.click()
    waitUntil(lambda: not page.installer.busy)
    assert page.ui.statusLabel.text.startswith("Check: ok, ")
    assert "Copying the models" in page.ui.logView.plainText


def test_no_folder_chosen_means_nothing_done(site):
    pip = FakePip(site)
    page = aPage(anInstaller(site, pip), "")
    page.ui.offlineButton.click()
    assert pip.calls == []


def test_cancelling_the_check_gives_the_page_back(site):
    page = aPage(anInstaller(site))
    page.ui.installButton.click()
    assert page.installer.commandRunning
    page.ui.cancelButton.click()
    assert "Stopped on request" in page.ui.statusLabel.text
    assert page.ui.checkButton.enabled
    assert not page.ui.cancelButton.enabled


def test_a_set_up_that_was_begun_is_offered_to_go_on(site):
    ResumeMarker(str(site), ("numpy",), None, "PyTorch").write()
    page = aPage(anInstaller(site))
    assert "stopped at 'PyTorch'" in page.ui.statusLabel.text
    assert page.ui.installButton.enabled
