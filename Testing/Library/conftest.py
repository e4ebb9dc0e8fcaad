"""A drawn patient, and every way in which a file may store him, as fixtures. What tests import by name is in patients.py."""

from __future__ import annotations

import pytest
from patients import Orientation, all_48_orientations, an_anisotropic_volume

from SAM2AnnotateLib.geometry import Volume


@pytest.fixture(params=all_48_orientations(), ids=str)
def orientation(request) -> Orientation:
    return request.param


@pytest.fixture(params=[False, True], ids=["upright", "oblique"])
def a_patient(request) -> Volume:
    return an_anisotropic_volume(request.param)
