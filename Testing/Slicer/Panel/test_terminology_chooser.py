"""The dialog that gives a new segment its terminology: what is chosen comes back, with name and color, and can be chosen from again."""

from __future__ import annotations

import pytest
import qt
import slicer

from SAM2AnnotateSlicer.Panel.TerminologyChooser import TerminologyChooser, choose

LIVER_SCT = "10200004"
KIDNEY_SCT = "64033007"


def anEntry(typeCode: str):
    """An entry of the loaded terminology, by the SNOMED CT code of its type, and its serialized text."""
    logic, entry = slicer.modules.terminologies.logic(), slicer.vtkSlicerTerminologyEntry()
    context = "Segmentation category and type - 3D Slicer General Anatomy list"
    entry.SetTerminologyContextName(context)
    for category in range(logic.GetNumberOfCategoriesInTerminology(context)):
        logic.GetNthCategoryInTerminology(context, category, entry.GetCategoryObject())
        for index in range(logic.GetNumberOfTypesInTerminologyCategory(context, entry.GetCategoryObject())):
            logic.GetNthTypeInTerminologyCategory(context, entry.GetCategoryObject(), index, entry.GetTypeObject())
            if entry.GetTypeObject().GetCodeValue() == typeCode:
                return entry, logic.SerializeTerminologyEntry(entry)
    raise LookupError(f"no type has the code {typeCode}")


def codeOf(text: str) -> str:
    entry = slicer.vtkSlicerTerminologyEntry()
    assert slicer.modules.terminologies.logic().DeserializeTerminologyEntry(text, entry)
    return entry.GetTypeObject().GetCodeValue()


@pytest.fixture
def chooser():
    made = []

    def make(entryText=""):
        made.append(TerminologyChooser(None, entryText))
        return made[-1]

    yield make
    for one in made:
        one.dialog.deleteLater()
    slicer.app.processEvents()


def test_what_is_selected_comes_back_with_its_code_name_and_color(chooser):
    one = chooser()
    liver, _text = anEntry(LIVER_SCT)
    one.navigator.setTerminologyEntry(liver)
    text, name, color = one.chosen()
    assert (codeOf(text), name.lower()) == (LIVER_SCT, "liver")
    assert color == pytest.approx([part / 255 for part in liver.GetTypeObject().GetRecommendedDisplayRGBValue()], abs=0.003)


def test_an_entry_that_was_chosen_before_is_selected_at_first(chooser):
    text = anEntry(KIDNEY_SCT)[1]
    found, name, _color = chooser(text).chosen()
    assert codeOf(found) == KIDNEY_SCT and name.lower() == "kidney"


@pytest.mark.parametrize("text", ["", "no terminology at all", "~~^^~~"])
def test_an_entry_that_cannot_be_read_is_no_reason_to_fail(chooser, text):
    one = chooser(text)
    assert one.chosen() is None
    assert not one.okButton.enabled and "first" in one.okButton.toolTip


@pytest.mark.parametrize("text", ["", "no terminology at all"])
def test_on_first_use_all_types_are_listed_and_can_be_searched(chooser, text):
    one = chooser(text)
    types = next(iter(slicer.util.findChildren(one.navigator, name="tableWidget_Type")))
    rows = types.count if types.inherits("QListWidget") else types.rowCount
    assert rows > 5
    assert next(iter(slicer.util.findChildren(one.navigator, name="SearchBox_Type"))).enabled
    room = one.dialog.screen().availableGeometry
    assert min(800, room.width() - 50) <= one.dialog.width <= room.width() and one.dialog.height <= room.height()


def test_ok_is_enabled_by_a_selection(chooser):
    one = chooser()
    assert not one.okButton.enabled
    one.navigator.setTerminologyEntry(anEntry(LIVER_SCT)[0])
    assert one.okButton.enabled


def answer(act):
    """Have `act` done with the modal dialog once it is shown."""
    qt.QTimer.singleShot(0, lambda: act(slicer.app.activeModalWidget()))


def test_ok_gives_the_entry():
    text = anEntry(LIVER_SCT)[1]
    answer(lambda dialog: dialog.accept())
    found, name, _color = choose(None, text)
    assert codeOf(found) == LIVER_SCT and name.lower() == "liver"


def test_cancel_gives_none_whatever_is_selected():
    answer(lambda dialog: dialog.reject())
    assert choose(slicer.util.mainWindow(), anEntry(LIVER_SCT)[1]) is None


def test_a_double_click_on_a_type_is_as_good_as_ok(chooser):
    one = chooser(anEntry(LIVER_SCT)[1])
    qt.QTimer.singleShot(0, lambda: one.navigator.typeDoubleClicked.emit())
    assert one.choose()[1].lower() == "liver"


def test_what_was_chosen_is_what_a_segment_keeps():
    answer(lambda dialog: dialog.accept())
    text, name, color = choose(None, anEntry(KIDNEY_SCT)[1])
    segment = slicer.vtkSegment()
    segment.SetName(name)
    segment.SetTerminology(text)
    segment.SetColor(*color)
    assert codeOf(segment.GetTerminology()) == KIDNEY_SCT
