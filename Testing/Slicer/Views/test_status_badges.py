"""The status of a slice stands in the view that shows it, and is gone without a trace afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from worlds import aVolume

from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Views.StatusBadges import StatusBadges
from SAM2AnnotateSlicer.Views.StatusColors import EMPTIED_LOOK, LOOKS
from slicer_host.views.views_and_mouse import pixels


@pytest.fixture
def badges():
    slicer.util.setSliceViewerLayers(background=aVolume(), fit=True)
    badges = StatusBadges()
    yield badges
    badges.remove()


def props(name):
    return (
        slicer.app.layoutManager()
        .sliceWidget(name)
        .sliceView()
        .renderWindow()
        .GetRenderers()
        .GetItemAsObject(0)
        .GetViewProps()
        .GetNumberOfItems()
    )


@pytest.mark.parametrize("look", [*LOOKS.values(), EMPTIED_LOOK], ids=lambda look: str(look.rgb))
def test_the_frame_has_the_color_of_the_status(badges, look):
    badges.show({"Red": (look, 12)})
    picture = pixels("Red", (300, 300)).astype(int)
    edge = np.concatenate([picture[5:-5, 2], picture[5:-5, -3]])
    assert (np.abs(edge - look.rgb).max(axis=1) < 12).mean() > 0.9
    assert (picture[250:298, 4:120].max(axis=2) > 120).any()  # the word
    assert not (np.abs(pixels("Yellow", (300, 300)).astype(int)[5:-5, 2] - look.rgb).max(axis=1) < 12).any()


def test_a_view_that_shows_no_slice_of_the_object_has_no_frame(badges):
    before = {name: props(name) for name in ("Red", "Green")}
    look = LOOKS[SliceStatus.ACCEPTED]
    badges.show({"Red": (look, 1), "Green": (look, 2)})
    badges.show({"Green": (look, 3)})
    assert props("Red") == before["Red"] and props("Green") == before["Green"] + 2
    badges.show({"NoSuchView": (look, 3)})
    badges.remove()
    assert {name: props(name) for name in before} == before
