"""``sam2annotate adapt``: from a label map to an adapter, and on to other slices; one clear line for all else."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("sam2")

from SAM2AnnotateLib.benchmark.phantom import make_phantom
from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.engine import Adapter, AdapterCard, load_engine
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import write_volume

PHANTOM = make_phantom(64, 11, 9)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(image, label map): an ellipsoid of the value 5 on slices 1..9, and a speck of the value 2."""
    folder = tmp_path_factory.mktemp("adapt")
    labels = np.stack([5 * PHANTOM.mask(k) for k in range(11)]).astype(np.uint8)
    labels[5, 0, 0] = 2
    write_volume(PHANTOM.volume, folder / "image.nii.gz")
    write_volume(Volume(PHANTOM.volume.grid, labels), folder / "labels.nii.gz")
    return folder / "image.nii.gz", folder / "labels.nii.gz"


def _command(files, out, *more):
    return ["adapt", str(files[0]), "--mask", str(files[1]), "--device", "cpu", "-o", str(out), "--window", "0,255", *map(str, more)]


@pytest.fixture(scope="module")
def a_learned_file(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    more = ("--label", 5, "--slices", "2,5,8,10", "--extent", "1,9", "--steps", 20, "--name", "ball", "--report", folder / "report.json")
    assert main(_command(files, folder / "ball.safetensors", *more)) == 0
    return folder / "ball.safetensors"


def test_what_was_learned_is_a_file_with_a_card_and_a_report(a_learned_file, capsys):
    adapter = Adapter.load(a_learned_file)
    assert adapter.card.object_name == "ball" and adapter.card.window == (0.0, 255.0) and adapter.card.plane == "axial"
    report = json.loads((a_learned_file.parent / "report.json").read_text())
    assert report["adapter_sha256"] == adapter.sha256 and report["slices"] == [2, 5, 8] and report["slices_without_object"] == [0, 10]
    assert report["held_out_dsc"]["after"].keys() == {"box", "point", "none"}


def test_segment_uses_it_and_says_so(files, a_learned_file, tmp_path, capsys):
    command = ["segment", str(files[0]), "-o", str(tmp_path / "m.nii.gz"), "--slice", "5", "--point", "32,32,+", "--extent", "4,6"]
    command += ["--device", "cpu", "--adapter", str(a_learned_file), "--report", str(tmp_path / "r.json"), "--window", "0,255"]
    assert main(command) == 0
    engine = json.loads((tmp_path / "r.json").read_text())["engine"]
    assert engine["adapter"] == "ball" and engine["adapter_sha256"] == Adapter.load(a_learned_file).sha256


def _one_line_error(capsys) -> str:
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("sam2annotate: error: "), captured.err
    return lines[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--label", "77"], "no voxel of the value 77"),
        (["--label", "0"], "Label 0 is the background"),
        (["--slices", "2,x"], "--slices takes"),
        (["--slices", "2,40"], "Slice 40 does not exist"),
        (["--slices", "0,10"], "on none of the slices 0,10"),
        (["--slices", "3"], "at least 2 annotated slices"),
        (["--seconds", "0"], "a number of seconds"),
        (["--steps", "0"], "steps"),
        (["--label", "5", "--extent", "3,6"], "Widen it"),
        (["--extent", "3"], "--extent takes"),
        (["--window", "9,1"], "lower below upper"),
        (["--code", "liver"], "liver"),
    ],
)
def test_bad_values_get_one_line_and_write_nothing(files, tmp_path, capsys, changes, message):
    out = tmp_path / "x.safetensors"
    assert main(_command(files, out, *changes)) == 2
    assert message in _one_line_error(capsys)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_another_suffix_and_an_input_are_never_replaced(files, tmp_path, capsys):
    (tmp_path / "x.safetensors").write_text("mine")
    assert main(_command(files, tmp_path / "x.safetensors")) == 2 and "--overwrite" in _one_line_error(capsys)
    assert main(_command(files, tmp_path / "x.pt")) == 2 and ".safetensors" in _one_line_error(capsys)
    assert main(_command(files, tmp_path / "y.safetensors", "--report", files[1])) == 2 and "would replace" in _one_line_error(capsys)
    assert (tmp_path / "x.safetensors").read_text() == "mine" and files[1].stat().st_size > 100


def test_labels_on_another_grid_are_refused(files, tmp_path, capsys):
    grid = VolumeGrid((11, 64, 64), np.diag([-1.0, -1.0, 2.0, 1.0]))
    write_volume(Volume(grid, np.ones((11, 64, 64), np.uint8)), tmp_path / "other.nii.gz")
    assert main(_command((files[0], tmp_path / "other.nii.gz"), tmp_path / "x.safetensors")) == 2
    assert "grid" in _one_line_error(capsys)


def test_labels_drawn_on_another_axis_are_refused_before_a_model_is_loaded(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("SAM2AnnotateLib.cli.learning.adapt.engine_from", lambda _: pytest.fail("no model is needed for this refusal"))
    sparse = np.zeros((11, 64, 64), np.uint8)
    sparse[3:8, 20:40, 20:44:6] = 5
    write_volume(Volume(PHANTOM.volume.grid, sparse), tmp_path / "sagittal.nii.gz")
    out = tmp_path / "x.safetensors"
    assert main(_command((files[0], tmp_path / "sagittal.nii.gz"), out)) == 2
    line = _one_line_error(capsys)
    assert "along axis i (20, 26, 32, 38)" in line and line.endswith("Add --axis i.") and not out.exists()


def test_too_few_slices_are_refused_before_a_model_is_loaded(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("SAM2AnnotateLib.cli.learning.adapt.engine_from", lambda _: pytest.fail("no model is needed for this refusal"))
    assert main(_command(files, tmp_path / "x.safetensors", "--label", 5, "--slices", 5)) == 2
    assert "at least 2 annotated slices" in _one_line_error(capsys)


def test_nothing_kept_is_one_sentence_no_file_and_exit_code_1(files, tmp_path, capsys, monkeypatch):
    from SAM2AnnotateLib.adaptation import learning

    monkeypatch.setattr(learning, "_served", lambda *_: ())
    assert main(_command(files, tmp_path / "x.safetensors", "--label", 5, "--slices", "3,7", "--steps", 4)) == 1
    assert capsys.readouterr().out.startswith("Nothing was kept") and list(tmp_path.iterdir()) == []


def test_stopping_writes_nothing(files, tmp_path, capsys, monkeypatch):
    from SAM2AnnotateLib.engine.sam2_learning import Sam2LearningRun

    def interrupted(self, done=0.0):
        raise KeyboardInterrupt

    monkeypatch.setattr(Sam2LearningRun, "step", interrupted)
    assert main(_command(files, tmp_path / "x.safetensors", "--label", 5, "--slices", "3,6")) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["segment", "adapt"])
def test_a_damaged_adapter_or_none_gets_one_line(command, files, tmp_path, capsys):
    (tmp_path / "bad.safetensors").write_bytes(b"\x80\x04nonsense")
    if command == "segment":
        run = ["segment", str(files[0]), "-o", str(tmp_path / "m.nii.gz"), "--slice", "5", "--point", "32,32,+", "--extent", "4,6"]
        assert main([*run, "--adapter", str(tmp_path / "bad.safetensors"), "--device", "cpu"]) == 2
        assert "bad.safetensors" in _one_line_error(capsys)
    else:
        with pytest.raises(SystemExit) as ended:
            main(_command(files, tmp_path / "x.safetensors", "--adapter", tmp_path / "bad.safetensors"))
        assert ended.value.code == 2


def _another_volume(folder):
    """(image, label map): the ellipsoid 3 columns to the side."""
    files = [folder / name for name in ("other.nii.gz", "other_labels.nii.gz")]
    labels = np.stack([np.roll(5 * PHANTOM.mask(k), 3, axis=1) for k in range(11)]).astype(np.uint8)
    write_volume(Volume(PHANTOM.volume.grid, np.roll(PHANTOM.volume.array_kji, 3, axis=2)), files[0])
    write_volume(Volume(PHANTOM.volume.grid, labels), files[1])
    return files


def test_several_volumes_are_learned_from_together(files, tmp_path, capsys):
    others = _another_volume(tmp_path)
    out = tmp_path / "ball.safetensors"
    more = ("--label", 5, "--slices", "3,5,7", "--steps", 20, "--report", tmp_path / "r.json", "--also", *others)
    assert main(_command(files, out, *more)) == 0
    card = Adapter.load(out).card
    assert (card.volume_count, card.slice_count) == (2, 12)
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["also"] == [{"image": str(others[0]), "labels": str(others[1])}]
    assert report["slices"] == [3, 5, 7]
    assert report["asked_for"] == {"steps": 20}


@pytest.fixture
def three_volumes(tmp_path):
    """(image, label map) of three balls, each moved a little: nine slices each."""
    found = []
    for number in range(3):
        image, labels = tmp_path / f"v{number}.nii.gz", tmp_path / f"v{number}_labels.nii.gz"
        write_volume(Volume(PHANTOM.volume.grid, np.roll(PHANTOM.volume.array_kji, 3 * number, axis=2)), image)
        moved = np.stack([np.roll(PHANTOM.mask(k), 3 * number, axis=1) for k in range(11)]).astype(np.uint8)
        write_volume(Volume(PHANTOM.volume.grid, moved), labels)
        found.append((image, labels))
    return found


def test_learning_goes_on_from_what_was_learned_of_the_earlier_volumes(three_volumes, tmp_path, capsys, monkeypatch):
    from SAM2AnnotateLib import adaptation

    first, second, third = three_volumes
    card = AdapterCard("ball", load_engine("bundled", device="cpu").weights_sha256, "x", volume_count=2)
    earlier = Adapter({}, card)
    earlier.save(tmp_path / "two.safetensors")
    seen, own = [], adaptation.learn

    def watched(slices, **options):
        seen.append((slices, options["start"]))
        return own(slices, **options)

    monkeypatch.setattr(adaptation, "learn", watched)
    also = ("--also", *first, "--also", *second)
    out, report = tmp_path / "three.safetensors", tmp_path / "r.json"
    code = main(_command(third, out, *also, "--from", tmp_path / "two.safetensors", "--steps", 6, "--report", report))
    ((slices, start),) = seen
    assert start.sha256 == earlier.sha256
    last = slices[-1].encoder.volume.array_kji
    assert np.array_equal(last, np.roll(PHANTOM.volume.array_kji, 6, axis=2)), "the newest volume comes last"
    assert earlier.sha256 in capsys.readouterr().err
    if code == 0:  # else nothing better was found, and there is no report
        told = json.loads(report.read_text())
        assert told["from"] == {"adapter": str(tmp_path / "two.safetensors"), "adapter_sha256": earlier.sha256, "went_on": True}
        assert told["image"] == str(third[0]) and told["slices"] == list(range(1, 10))


def test_what_learning_cannot_go_on_from_is_refused_in_one_line(three_volumes, files, tmp_path, capsys, monkeypatch):
    first, second, _third = three_volumes
    foreign, damaged, out = tmp_path / "foreign.safetensors", tmp_path / "bad.safetensors", tmp_path / "x.safetensors"
    Adapter({}, AdapterCard("ball", "0" * 64, "x", volume_count=2)).save(foreign)
    damaged.write_bytes(b"nonsense")
    assert main(_command(second, out, "--also", *first, "--from", foreign)) == 2 and "another model" in _one_line_error(capsys)
    monkeypatch.setattr("SAM2AnnotateLib.cli.learning.adapt.engine_from", lambda _: pytest.fail("no model is needed for this refusal"))
    assert main(_command(second, out, "--also", *first, "--from", damaged)) == 2 and "bad.safetensors" in _one_line_error(capsys)
    assert main(_command(second, out, "--from", foreign)) == 2 and "--also" in _one_line_error(capsys)
    assert main(_command(second, foreign, "--also", *first, "--from", foreign)) == 2 and "would replace" in _one_line_error(capsys)
    assert not out.exists()


def test_a_further_volume_without_the_object_is_named(files, tmp_path, capsys):
    empty = tmp_path / "empty.nii.gz"
    write_volume(Volume(PHANTOM.volume.grid, np.zeros(PHANTOM.volume.array_kji.shape, np.uint8)), empty)
    assert main(_command(files, tmp_path / "x.safetensors", "--label", 5, "--also", files[0], empty)) == 2
    error = _one_line_error(capsys)
    assert "empty.nii.gz" in error and "no voxel of the value 5" in error


def test_further_volumes_that_are_none_are_refused_before_a_model_is_loaded(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("SAM2AnnotateLib.cli.learning.adapt.engine_from", lambda _: pytest.fail("no model is needed for these refusals"))
    copy, turned, labels, one = (tmp_path / name for name in ("copy.nii.gz", "turned.nrrd", "labels.nrrd", "one.nii.gz"))
    copy.write_bytes(files[0].read_bytes())
    grid = VolumeGrid((11, 64, 64), np.array([[0, 0, -1.0, 0], [0, -1.0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1]]))  # k runs from right to left
    masks = np.stack([5 * PHANTOM.mask(k) for k in range(11)]).astype(np.uint8)
    write_volume(Volume(grid, PHANTOM.volume.array_kji + 1), turned)
    write_volume(Volume(grid, masks), labels)
    masks[:, :, :] *= (np.arange(11) == 5)[:, None, None]
    write_volume(Volume(PHANTOM.volume.grid, masks), one)
    for image, mask, words in (
        (files[0], files[1], ("is the same image as", "Give each volume once")),
        (copy, files[1], ("copy.nii.gz", "is the same image as", "image.nii.gz")),
        (turned, labels, ("turned.nrrd' into sagittal", "Name the plane: --axis axial.")),
        (files[0], one, ("one.nii.gz", "at least 2 annotated slices")),
    ):
        assert main(_command(files, tmp_path / "x.safetensors", "--label", 5, "--also", image, mask)) == 2
        error = _one_line_error(capsys)
        assert all(word in error for word in words), error
    assert not (tmp_path / "x.safetensors").exists()


def test_slices_that_are_no_numbers_are_not_counted(files, tmp_path, capsys):
    assert main(_command(files, tmp_path / "x.safetensors", "--label", 5, "--slices", "14,18,x")) == 2
    assert "--slices takes voxel indices of slices (whole numbers separated by commas), got '14,18,x'" in _one_line_error(capsys)


@pytest.mark.parametrize(("more", "seconds"), [((), 15.0), (("--also",), 30.0), (("--also", "--seconds", "4"), 4.0)])
def test_several_volumes_are_given_twice_the_time(files, tmp_path, monkeypatch, more, seconds):
    from SAM2AnnotateLib import adaptation

    asked = []

    def learn(*_slices, options, **_more):
        asked.append(options.seconds)
        raise InputError("Enough was seen.")

    monkeypatch.setattr(adaptation, "learn", learn)
    others = _another_volume(tmp_path)
    told = [part for word in more for part in ((word, *others) if word == "--also" else (word,))]
    assert main(_command(files, tmp_path / "x.safetensors", "--label", 5, *told)) == 2
    assert asked == [seconds]
