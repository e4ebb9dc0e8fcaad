"""WidgetText: what the panel says in words: gray window, time, counts. Imports the library's value types; no Qt."""

from __future__ import annotations

from slicer.i18n import tr as _

from SAM2AnnotateLib.intensity import CT_PRESETS, IntensityMapping
from SAM2AnnotateLib.review import SliceStatus

from ..Model.ModelNames import isOnServer, nameOf
from ..Review.Logic import AnnotationLogic
from ..Scene.GrayWindow import AS_SHOWN
from ..Scene.ParameterNode import AfterAccept
from .PanelState import PanelState

_WINDOWS = ("auto", "liver", "abdomen", "mediastinum", "lung", "bone", "brain", "mr", AS_SHOWN)


def windowChoices() -> list[tuple[str, str]]:
    """(value of the parameter `window`, text) of every gray window on offer."""
    return [(window, windowText(window)) for window in _WINDOWS]


def windowText(window: str) -> str:
    """What a gray window is called; bounds such as ``-55,155`` are shown as they are."""
    names = {
        "auto": _("Auto"),
        "liver": _("Liver"),
        "abdomen": _("Abdomen"),
        "mediastinum": _("Mediastinum"),
        "lung": _("Lung"),
        "bone": _("Bone"),
        "brain": _("Brain"),
        "mr": _("MR, 1st to 99th percentile"),
        AS_SHOWN: _("As shown in the views"),
    }
    if window in CT_PRESETS:
        lower, upper = CT_PRESETS[window]
        return _("{name} ({lower:g} to {upper:g} HU)").format(name=names[window], lower=lower, upper=upper)
    return names.get(window, window.replace(",", _(" to ")))


def mappingText(mapping: IntensityMapping) -> str:
    """What the model is fed with, and why."""
    return _("Fed to the model: {lower:g} to {upper:g} ({reason}).").format(lower=mapping.lower, upper=mapping.upper, reason=mapping.reason)


def durationText(seconds: float) -> str:
    """A time, as exact as an estimate is."""
    if seconds < 1.5:
        return _("1 s")
    if seconds < 90:
        return _("{seconds} s").format(seconds=round(seconds))
    return _("{minutes} min").format(minutes=round(seconds / 60))


def estimateText(slices: int, seconds: float | None) -> str:
    """What a propagation will take."""
    if slices == 0:
        return _("No slice is due.")
    if seconds is None:
        return _("{slices} slices; how long it takes is known after the first one.").format(slices=slices)
    return _("About {time} for {slices} slices.").format(time=durationText(seconds), slices=slices)


def progressText(done: int, total: int, seconds: float | None) -> str:
    """How far a propagation is."""
    text = _("{done} of {total} slices").format(done=done, total=total)
    return text if seconds is None else text + _(", about {time} left").format(time=durationText(seconds))


def stoppingText(done: int, total: int) -> str:
    """How far a propagation is that was cancelled a moment ago."""
    return _("Stopping. {done} of {total} slices are done and kept.").format(done=done, total=total)


def countsText(counts: dict[SliceStatus, int], emptied: int, minutesLeft: float | None) -> str:
    """How far the review is.

    Args:
        counts: slices by status; the corrected ones hold the emptied ones.
        emptied: slices that were said not to show the object.
        minutesLeft: None if nobody knows yet.
    """
    accepted, corrected = counts[SliceStatus.ACCEPTED], counts[SliceStatus.CORRECTED]
    left = sum(counts.values()) - accepted - corrected
    text = _("{accepted} accepted, {corrected} corrected, {emptied} emptied; {left} left to review").format(
        accepted=accepted, corrected=corrected - emptied, emptied=emptied, left=left
    )
    if minutesLeft is not None and left:
        text += _(", about {time}").format(time=durationText(60 * minutesLeft))
    return text + "."


def afterAcceptChoices() -> list[tuple[AfterAccept, str]]:
    """(value of the parameter `afterAccept`, text) of all choices."""
    return [
        (AfterAccept.NEXT_OPEN, _("Accept, then the next open slice")),
        (AfterAccept.MOST_DOUBTFUL, _("Accept, then the most doubtful slice")),
        (AfterAccept.STAY, _("Accept, and stay")),
    ]


def noneLeftText(due: int) -> str:
    """What is said when the last open slice was accepted.

    Args:
        due: slices that were not computed yet.
    """
    if due:
        return _("No slice is left to look at. Press 'Propagate' (Enter) to compute the {due} that have no mask.").format(due=due)
    return _("No slice is left to look at: all are reviewed. Save, or press 'Next object'.")


def modelText(model: str) -> str:
    """A model's name, and where it runs if that is not here."""
    return _("{name} (on the server)").format(name=nameOf(model)) if isOnServer(model) else model


def togetherText(count: int, dsc: float) -> str:
    """What the button asks that accepts slices together."""
    return _("{count} slices expected above {dsc:g}: accept together").format(count=count, dsc=dsc)


def summaries(logic: AnnotationLogic, state: PanelState) -> dict[str, str]:
    """What is in each section, to be read while it is closed."""
    if not state.hasScene:
        return {}
    parameters, annotated = logic.parameters, logic.current
    said = {"settings": modelText(parameters.model)}
    if state.hasVolume:
        name = parameters.volume.GetName()
        said["image"] = f"{name}, {annotated.name}" if state.hasObject else name
    if state.hasObject:
        ends = annotated.stack.extent_of(annotated.session.extent)
        low, high = sorted((ends.first, ends.last))
        said["box"] = _("slices {first} to {last}").format(first=low, last=high)
        counts = annotated.counts()
        due = counts[SliceStatus.EMPTY] + counts[SliceStatus.STALE]
        said["propagate"] = _("slices to compute: {count}").format(count=due) if due else _("done")
        said["review"] = _("slices left: {count}").format(count=state.open) if state.open else _("done")
    return said


def hintText(state: PanelState) -> str:
    """What to do next."""
    if not state.hasVolume:
        return _("Choose a volume, or press 'Try it on a sample'.")
    if state.correcting:
        return _("Draw this slice's mask. Enter (in Draw: Ctrl+Enter) takes it, Escape twice leaves it.")
    if not state.hasObject:
        return _("Go to the object's center slice, press 'Draw box' (B), and drag a box around it.")
    if state.running:
        return _("Slices appear as they are computed.")
    if state.open + state.lockedCount == 0:
        return state.failure or _("The mask of this slice comes in a moment.")
    if state.endsOffered:
        return _("First and last slice are proposed: E takes them, or set your own (F, L). Then press 'Propagate' (Enter).")
    if state.lockedCount == 0 and state.open == 1:
        return _("Go to the object's first slice (F) and its last (L), then press 'Propagate' (Enter).")
    if state.open:
        return _("Look at each slice: accept (A) or correct (C). N goes to the one that is most in doubt.")
    if state.due:
        return _("Press 'Propagate' (Enter) to compute the slices that are left.")
    return _("All slices are reviewed. Save, or press 'Next object'.")
