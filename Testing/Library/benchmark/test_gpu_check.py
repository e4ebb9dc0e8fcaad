"""``dev.py gpu-check`` without a GPU: what it says there, and that its parts run (rehearsed on the processor with the smallest figures)."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from SAM2AnnotateLib.benchmark import gpu_check, gpu_parts  # noqa: E402
from SAM2AnnotateLib.errors import EngineError  # noqa: E402


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """As on a machine without one, whatever this one has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_without_a_gpu_it_says_so_and_writes_what_it_found(tmp_path, capsys):
    file = tmp_path / "found.json"
    assert gpu_check.main(["--json", str(file)]) == gpu_check.NO_GPU
    said, report = capsys.readouterr().out, json.loads(file.read_text(encoding="utf-8"))
    assert "No GPU: torch" in said and str(file) in said
    assert report["gpu"] is None and report["parts"] == {} and report["torch"] == torch.__version__ and "torch" in report["problem"]


def test_all_parts_run_in_a_rehearsal(tmp_path, capsys):
    pytest.importorskip("transformers")
    file = tmp_path / "found.json"
    assert gpu_check.main(["--rehearse", "--json", str(file)]) == 0
    parts = json.loads(file.read_text(encoding="utf-8"))["parts"]
    assert parts["equality with stock SAM 2, fp32"]["equal"]
    assert parts["through transformers, fp32"]["pixels_that_differ"] == 0
    assert parts["bundled model through both packages, fp32"]["largest_difference_of_logits"] < 1e-3
    assert parts["bf16 against fp32, bundled"]["dsc"] > 0.98
    assert parts["training, fp32"]["loss_is_finite"] and parts["training, bf16"]["loss_is_finite"]
    timed = parts["speed, compact at 128, fp32"]
    assert all(timed[f"{who}_{what}_s"] > 0 for who in ("ours", "stock") for what in ("first_pass", "first_mask", "correction"))
    said = capsys.readouterr().out
    assert all(title in said for title in parts)


def test_when_time_is_up_the_rest_is_told_as_skipped(tmp_path):
    file = tmp_path / "found.json"
    assert gpu_check.main(["--rehearse", "--minutes", "1e-9", "--json", str(file)]) == 1
    parts = json.loads(file.read_text(encoding="utf-8"))["parts"]
    assert len(parts) == len(gpu_parts.PARTS) and all(figures == {"skipped": "time was up"} for figures in parts.values())


def test_a_part_that_fails_is_told_and_the_next_one_runs(tmp_path, monkeypatch):
    def broken(_rig):
        yield "half of it", {"found": 1}
        raise EngineError("the card fell out")

    def whole(_rig):
        yield "the other", {"found": 2}

    monkeypatch.setattr(gpu_parts, "PARTS", (broken, whole))
    file = tmp_path / "found.json"
    assert gpu_check.main(["--rehearse", "--json", str(file)]) == 1
    parts = json.loads(file.read_text(encoding="utf-8"))["parts"]
    assert parts["half of it"] == {"found": 1} and parts["the other"] == {"found": 2}
    assert parts["broken"]["failed"].endswith("the card fell out")


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "soon"])
def test_minutes_that_make_no_sense_are_refused(minutes, capsys):
    with pytest.raises(SystemExit) as stopped:
        gpu_check.main(["--minutes", minutes])
    assert stopped.value.code == 2 and "--minutes" in capsys.readouterr().err
