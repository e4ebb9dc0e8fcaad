"""``benchmark --parts models``: the part runs and compares what it says; how fast is not asked here."""

import pytest

pytest.importorskip("sam2")
pytest.importorskip("transformers", reason="the extra engine-transformers is not installed")

from SAM2AnnotateLib.benchmark.model_speeds import model_speeds


def test_both_models_are_timed_and_compared():
    results = dict(model_speeds(1, 256, ("fp32",)))
    assert list(results) == ["i EdgeTAM against hiera tiny, fp32"]
    for figures in results.values():
        for what in ("encode", "first_mask", "step", "correction"):
            ours, theirs = figures[f"{what}_edgetam_s"], figures[f"{what}_hiera_tiny_s"]
            assert figures[f"{what}_ratio"] == pytest.approx(theirs / ours, rel=0.2)
