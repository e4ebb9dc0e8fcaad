"""LearningText: what the panel says of learning, prototypes and proposed ends. No Qt."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..Model.LearnedModels import LearnedModel
from .ExtentOffer import CERTAIN, ExtentOffer, ProposedEnds


def learnText(slices: int) -> str:
    """What the button says that learns."""
    return _("Learn from these {count} slices").format(count=slices) if slices else _("Learn from these slices")


def stateText(offers: bool, corrections: int, learned: dict | None, brought: str) -> str:
    """What stands below the button.

    Args:
        offers: whether learning is offered now.
        corrections: how many slices were corrected.
        learned: what is in use, as `LearnedModel.toJson` tells it.
        brought: what the latest learning brought; "" before the first.
    """
    if offers:
        return _("{count} slices are corrected. The model can learn this object from what you decided; it takes a few seconds.").format(
            count=corrections
        )
    if learned is not None:
        used = _("In use: what was learned of {name} ({hash}).").format(name=learned["name"], hash=learned["sha256"][:8])
        return f"{brought} {used}".strip()
    return brought


def progressText(share: float, secondsLeft: float | None) -> str:
    """How far a learning, or a search, is."""
    text = _("{percent} %").format(percent=round(100 * share))
    return text if secondsLeft is None else text + _(", about {seconds} s left").format(seconds=max(1, round(secondsLeft)))


def endsText(ends: ProposedEnds) -> str:
    """What is proposed as first and last slice."""
    extent, stack = ExtentOffer.wanted(ends), ends.annotated.stack
    byIndex = sorted(zip((stack.index_of(extent.first), stack.index_of(extent.last)), ends.certainties, strict=True))
    low, high = byIndex[0][0], byIndex[1][0]
    unsure = [str(number) for number, certainty in byIndex if certainty < CERTAIN]
    text = _("Proposed: slices {first} to {last}.").format(first=low, last=high)
    return text + " " + _("Uncertain: {slices}.").format(slices=", ".join(unsure)) if unsure else text


def keepQuestion(name: str, slices: int, library: str) -> str:
    """What is asked before a prototype is kept."""
    return _(
        "A prototype holds pictures of this patient: {count} slices, with '{name}' outlined on them, in the folder {library}. "
        "Whoever gets that folder sees them. Keep it?"
    ).format(count=slices, name=name, library=library)


def learnedChoices(learned: list[LearnedModel]) -> list[tuple[str, str]]:
    """(hash, text) of all that can be used; "" is the model as it came."""
    return [("", _("the model as it came")), *((one.sha256, one.text) for one in learned)]
