"""NnunetText: what preview and check of a data set say in words. Imports slicer's translation only."""

from __future__ import annotations

from slicer.i18n import tr as _


def previewText(answer: dict) -> str:
    """What would be written, line by line; `answer` is that of ``nnunet export-job --preview``."""
    lines = [_("Replaces the case that is there.")] if answer["replaces"] else []
    lines.append(_("Written:") if answer["written"] else _("Written: no segment, the labels are all background."))
    lines += [
        f"  {one['value']} {one['label']} <- {one['name']}: "
        + _("{voxels} voxels").format(voxels=one["voxels"])
        + _reviewText(one["review"])
        for one in answer["written"]
    ]
    if answer["left_out"]:
        lines.append(_("Left out:"))
        lines += [f"  {one['name']}: {one['reason']}" for one in answer["left_out"]]
    if answer["missing"]:
        lines.append(_("Labels without a voxel: {names}").format(names=", ".join(answer["missing"])))
    lines += [_("Note: {note}").format(note=note) for note in answer["notes"]]
    return "\n".join(lines)


def verifiedText(answer: dict) -> str:
    """What a check found; `answer` is that of ``nnunet verify``."""
    lines = [_("Training cases: {training}, test cases: {test}.").format(training=answer["training"], test=answer["test"])]
    if answer["nnunet"]:
        lines.append(_("Checked by nnU-Net's own verify_dataset_integrity and by our checks."))
    else:
        lines.append(_("Checked by our own checks only. nnU-Net's did not run: {why}").format(why=answer["missing"]))
        lines.append(_("Choose a Python that has it under 'Python with nnU-Net', then press 'Verify' again."))
    lines += [_("Problem: {problem}").format(problem=problem) for problem in answer["problems"]]
    return "\n".join(lines)


def _reviewText(review: dict | None) -> str:
    if review is None:
        return _(", without a review")
    return _(", {accepted} slices accepted, {corrected} corrected, {unreviewed} not reviewed").format(**review)
