"""One intensity mapping a volume: the window that was asked for, or the one that the values call for, and why."""

from __future__ import annotations

import numpy as np
import pytest
from patients import an_anisotropic_volume

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.intensity import CT_PRESETS, IntensityMapping, choose_mapping
from SAM2AnnotateLib.intensity.percentiles import volume_percentiles

PERCENTAGES = (0, 1, 2, 10, 50, 75, 99, 100)


def a_volume_of(values, modality: str | None = None) -> Volume:
    array = np.asarray(values).reshape(1, 1, -1)
    return Volume(VolumeGrid(array.shape, np.eye(4)), array, modality)


def by_numpy(array: np.ndarray) -> list[float]:
    return [float(np.percentile(array, percentage, method="inverted_cdf")) for percentage in PERCENTAGES]


# --- percentiles

RNG = np.random.default_rng(17)
NORMAL = RNG.normal(0, 300, (10, 20, 25))  # 5000 voxels: every percentage above is a whole number of them
CASES = {
    "float64": NORMAL,
    "float32": NORMAL.astype(np.float32),
    "float16": NORMAL.astype(np.float16),
    "int16": NORMAL.astype(np.int16),
    "int8": (NORMAL / 10).clip(-128, 127).astype(np.int8),
    "uint8": np.abs(NORMAL / 5).clip(0, 255).astype(np.uint8),
    "uint16": np.abs(NORMAL).astype(np.uint16),
    "int64": (NORMAL * 1000).astype(np.int64),
    "bool": NORMAL > 0,
    "negative": -np.abs(NORMAL) - 5,
    "one huge outlier": np.where(np.arange(5000).reshape(NORMAL.shape) == 17, 1e30, NORMAL),
    "outliers at both ends": np.concatenate([NORMAL.ravel()[:-2], [-3e38, 3e38]]).astype(np.float32).reshape(NORMAL.shape),
    "tiny": NORMAL * 1e-20,
    "narrow around a large value": 1e6 + NORMAL / 1000,
    "constant": np.full((10, 20, 25), -7, dtype=np.int16),
    "constant zero": np.zeros((10, 20, 25), dtype=np.float32),
    "mostly background": np.where(NORMAL > 550, NORMAL, 0).astype(np.float32),
    "many equal values": np.round(NORMAL / 100).astype(np.float32) / 3,
    "many equal values off by one bit": (np.float32(0.1) + RNG.integers(0, 3, NORMAL.shape).astype(np.float32) * np.float32(2**-27)),
    "not contiguous": NORMAL.transpose(2, 0, 1)[::-1],
}


@pytest.mark.parametrize("name", CASES)
def test_percentiles_are_those_of_numpy(name):
    array = CASES[name]
    before = array.copy()
    assert list(volume_percentiles(array, PERCENTAGES)) == by_numpy(array)
    assert np.array_equal(array, before)


def test_percentiles_of_many_small_volumes_are_values_of_the_right_rank():
    rng = np.random.default_rng(23)
    for _ in range(200):
        shape = tuple(rng.integers(1, 6, 3))
        array = rng.choice([-1000.0, -0.1, 0.0, 1e-9, 0.3, 0.30000001, 7.0, 1e5], shape).astype(rng.choice(["float32", "float64"]))
        percentage = int(rng.integers(0, 101))
        ordered = sorted(array.ravel().tolist())
        rank = max(-(-len(ordered) * percentage // 100), 1)  # the first value with at least so many percent at or below it
        assert volume_percentiles(array, (percentage,)) == (ordered[rank - 1],)


def test_percentiles_tell_neighboring_float32_values_apart():
    rng = np.random.default_rng(29)
    for _ in range(30):
        array = np.float32(1) + rng.integers(0, 40, (5, 5, 4)).astype(np.float32) * np.float32(2**-23)
        array[0, 0, :2] = rng.uniform(-3, 0.5), rng.uniform(1.5, 5)
        ordered = sorted(array.ravel().tolist())  # 100 voxels: the p-th is the p-th percentile
        assert volume_percentiles(array, (10, 25, 50, 75, 90)) == tuple(ordered[p - 1] for p in (10, 25, 50, 75, 90))


# --- presets and explicit bounds


@pytest.mark.parametrize(
    "name, bounds",
    [
        ("liver", (-55, 155)), ("abdomen", (-160, 240)), ("mediastinum", (-125, 225)), ("lung", (-1350, 150)), ("bone", (-500, 1300)),
        ("brain", (0, 80)),
    ],
)  # fmt: skip
def test_a_preset_has_its_bounds_whatever_the_volume(name, bounds):
    mapping = choose_mapping(a_volume_of([1, 2, 3], "MR"), f" {name.upper()} ")
    assert (mapping.lower, mapping.upper, mapping.name) == (*bounds, name)
    assert mapping.reason == f"CT preset '{name}' asked for"


def test_no_preset_is_untested():
    assert len(CT_PRESETS) == 6


@pytest.mark.parametrize("text, bounds", [("-100,250", (-100, 250)), (" 0.5 , 2e3 ", (0.5, 2000)), ("-3,-1", (-3, -1))])
def test_explicit_bounds_are_taken_as_given(text, bounds):
    mapping = choose_mapping(a_volume_of([1, 2, 3]), text)
    assert (mapping.lower, mapping.upper, mapping.name) == (*bounds, "explicit")
    assert mapping.to_json() == {"lower": bounds[0], "upper": bounds[1], "name": "explicit", "reason": "bounds asked for"}


@pytest.mark.parametrize("text", ["", "livver", "1", "1,2,3", "a,b", "1;2", "-160 240", ","])
def test_other_text_is_refused_with_what_is_known(text):
    with pytest.raises(InputError, match=r"Unknown window '.*': expected LO,HI \(two numbers\) or one of auto, mr, liver, abdomen"):
        choose_mapping(a_volume_of([1, 2, 3]), text)


@pytest.mark.parametrize("text", ["5,5", "9,3", "nan,5", "0,inf", "-inf,0"])
def test_bounds_that_are_no_window_are_refused(text):
    with pytest.raises(InputError, match="two finite values, lower below upper; got"):
        choose_mapping(a_volume_of([1, 2, 3]), text)


# --- MR


def test_mr_runs_from_the_1st_to_the_99th_percentile():
    mapping = choose_mapping(a_volume_of(np.arange(1000)), "mr")
    assert (mapping.lower, mapping.upper, mapping.name) == (9, 989, "mr")  # 10 of 1000 voxels are at or below 9
    assert mapping.reason == "1st to 99th percentile asked for"


def test_mr_with_almost_only_background_takes_the_full_range_and_says_so():
    mapping = choose_mapping(a_volume_of([0] * 995 + [40, 50, 60, 70, 80]), "mr")
    assert (mapping.lower, mapping.upper) == (0, 80)
    assert "these are equal, so the full range" in mapping.reason


def test_a_constant_volume_has_nothing_to_see_in_mr_but_a_window_in_ct():
    with pytest.raises(InputError, match="All voxels have the value -7: there is nothing to see"):
        choose_mapping(a_volume_of([-7] * 50), "mr")
    assert choose_mapping(a_volume_of([-7] * 50, "CT"), "auto").name == "abdomen"


# --- auto

CT_VALUES = np.concatenate([np.full(400, -1000), np.linspace(-120, 300, 600)]).astype(np.int16)
MR_VALUES = np.concatenate([np.zeros(400), np.linspace(0, 1500, 600)]).astype(np.int16)


def test_auto_believes_the_dicom_modality_more_than_the_values():
    assert choose_mapping(a_volume_of(MR_VALUES, "CT"), "auto").name == "abdomen"
    taken_for_mr = choose_mapping(a_volume_of(CT_VALUES, "MR"), "auto")
    assert taken_for_mr.name == "mr"
    assert taken_for_mr.reason == "taken for MR: DICOM modality MR"


def test_auto_tells_ct_from_mr_by_the_values_and_says_what_it_saw():
    ct, mr = choose_mapping(a_volume_of(CT_VALUES)), choose_mapping(a_volume_of(MR_VALUES))
    assert (ct.name, ct.lower, ct.upper) == ("abdomen", -160, 240)
    assert ct.reason.startswith("taken for CT: values -1000..300; ")
    assert mr.name == "mr"
    assert mr.reason.startswith("taken for MR: values 0..1500")


def test_mr_with_a_few_negative_values_stays_mr():
    assert choose_mapping(a_volume_of(MR_VALUES - 30)).name == "mr"


def test_ct_with_padding_and_metal_stays_ct():
    assert choose_mapping(a_volume_of(np.where(CT_VALUES == -1000, -2048, CT_VALUES).clip(None, 250))).name == "abdomen"
    assert choose_mapping(a_volume_of(np.append(CT_VALUES, 30000))).name == "abdomen"


@pytest.mark.parametrize(
    "object_values, name",
    [([-900, -800, -700], "lung"), ([-500, -500], "abdomen"), ([-501], "lung"), ([40, 60, 80], "abdomen"), ([300], "abdomen"),
     ([301], "bone"), ([20, 700, 900], "bone"), ([], "abdomen"), (None, "abdomen")],
)  # fmt: skip
def test_the_object_in_the_box_chooses_the_ct_preset_by_its_median(object_values, name):
    values = None if object_values is None else np.array(object_values)
    mapping = choose_mapping(a_volume_of(CT_VALUES), "auto", values)
    assert (mapping.name, (mapping.lower, mapping.upper)) == (name, CT_PRESETS[name])
    seen = "no box to look into" if not object_values else f"median in the box {np.median(values):g} HU"
    assert mapping.reason.endswith("; " + seen)


def test_the_object_does_not_change_the_mapping_of_mr():
    assert choose_mapping(a_volume_of(MR_VALUES), "auto", np.array([-900])) == choose_mapping(a_volume_of(MR_VALUES), "auto")


# --- to 8 bit


def test_values_are_rounded_to_nearest_and_clipped_at_the_bounds():
    mapping = IntensityMapping(0.0, 510.0, "explicit", "")  # two values a gray level
    values = np.array([[-1000, -1, 0, 0.9], [1.1, 2, 254, 509], [510, 511, 1e30, -1e30]])
    assert mapping.to_uint8(values).tolist() == [[0, 0, 0, 0], [1, 1, 127, 254], [255, 255, 255, 0]]
    assert mapping.to_uint8(values).dtype == np.uint8


def test_the_liver_window_is_that_of_the_study():
    mapping = choose_mapping(a_volume_of([0]), "liver")
    assert mapping.to_uint8(np.array([-56, -55, 50, 155, 156])).tolist() == [0, 0, 128, 255, 255]  # 127.5 rounds to even


def test_values_beyond_float32_are_clipped_without_a_warning():
    mapping = IntensityMapping(0.0, 1.0, "explicit", "")
    assert mapping.to_uint8(np.array([1e300, -1e300, 3e38, 0.5])).tolist() == [255, 0, 255, 128]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "float32", "float64", ">i2"])
def test_every_type_is_mapped_alike_and_the_voxels_stay_as_they_are(dtype):
    values = np.array([[0, 1, 50, 100, 120]], dtype=dtype)
    values.setflags(write=False)
    mapped = IntensityMapping(0.0, 100.0, "explicit", "").to_uint8(values)
    assert mapped.tolist() == [[0, 3, 128, 255, 255]]  # 2.55 and 127.5 to even
    assert values.tolist() == [[0, 1, 50, 100, 120]]


def test_the_whole_volume_gets_one_mapping_with_rising_grays():
    volume = an_anisotropic_volume()
    mapping = choose_mapping(volume, "-500,500")
    grays = mapping.to_uint8(volume.array_kji)
    order = np.argsort(volume.array_kji, axis=None)
    assert (np.diff(grays.ravel()[order].astype(int)) >= 0).all()
    assert np.array_equal(grays[2], mapping.to_uint8(volume.array_kji[2]))
    assert np.array_equal(volume.array_kji, an_anisotropic_volume().array_kji)
