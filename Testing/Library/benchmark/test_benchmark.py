"""The benchmark's parts run, compare like with like, and say what they measured. No time is asserted."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("sam2")

from SAM2AnnotateLib.benchmark import parts
from SAM2AnnotateLib.benchmark.phantom import make_phantom
from SAM2AnnotateLib.benchmark.sweep_cost import sweep_cost
from SAM2AnnotateLib.cli.main import main


def test_the_phantoms_box_and_extent_fit_its_object():
    phantom = make_phantom(64, 9, 5)
    assert (phantom.extent.first, phantom.extent.last, phantom.center) == (2, 6, 4)
    assert not phantom.mask(0).any()
    mask = phantom.mask(4)
    rows, cols = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    assert abs(rows[0] - phantom.box.row_start) <= 1 and abs(cols[-1] + 1 - phantom.box.col_stop) <= 1
    bright = phantom.volume.array_kji[4][mask].mean() - phantom.volume.array_kji[4][~mask].mean()
    assert 80 < bright < 100


def test_the_propagation_part_compares_equal_masks_and_reports_ratios():
    (first_name, first), (after_name, after) = parts.propagation(repeats=1, slices=7, image_size=128)
    assert first["masks_equal"] is True
    assert (first_name[0], after_name[0]) == ("a", "b")
    for figures in (first, after):
        assert figures["ratio"] == pytest.approx(figures["stock_seconds"] / figures["ours_seconds"], rel=0.6)
        assert figures["runs"] == 1 and figures["slices"] == 7


def test_the_command_writes_its_figures_and_the_machine(tmp_path, capsys):
    assert main(["benchmark", "--parts", "first-mask", "--repeats", "1", "--json", str(tmp_path / "figures.json")]) == 0
    stored = json.loads((tmp_path / "figures.json").read_text())
    assert {"processor", "threads", "torch"} <= stored["machine"].keys()
    assert stored["results"]["c box to first mask, bundled"]["milliseconds"] > 0
    assert "c box to first mask, hiera tiny" in capsys.readouterr().out


@pytest.mark.slow
def test_a_sweep_encodes_no_slice_twice_and_shares_predictions():
    ((name, figures),) = sweep_cost(repeats=1)
    assert name[0] == "f"
    assert figures["ratio"] == pytest.approx(figures["sweep_seconds"] / figures["one_simulation_seconds"], rel=0.05)
    assert figures["thresholds"] == 38
    assert figures["encoded_by_sweep"] <= 2 * figures["slices"]  # crops may grow; a slice is encoded once a crop
    assert figures["predicted_by_sweep"] < figures["thresholds"] / 3 * figures["predicted_by_one"]
