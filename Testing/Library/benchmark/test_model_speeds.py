"""``benchmark --parts models``: the part runs and compares what it says; how fast is not asked here."""

import pytest

pytest.importorskip("sam2")
pytest.importorskip("transformers", reason="the extra engine-transformers is not installed")

from SAM2AnnotateLib.benchmark.model_speeds import model_speeds


def test_both_models_are_timed_and_compared_and_the_bundled_one_beside_them():
    results = dict(model_speeds(1, 256, ("fp32",), (256,)))
    assert list(results) == ["i EdgeTAM at 256 against hiera tiny, fp32", "i bundled"]
    figures = results["i EdgeTAM at 256 against hiera tiny, fp32"]
    for what in ("encode", "first_mask", "step", "correction"):
        ours, theirs = figures[f"{what}_edgetam_s"], figures[f"{what}_hiera_tiny_s"]
        assert figures[f"{what}_ratio"] == pytest.approx(theirs / ours, rel=0.2)
    bundled = results["i bundled"]
    assert bundled["100_slices_s"] == pytest.approx(100 * (bundled["encode_s"] + bundled["step_s"]), abs=0.11)
