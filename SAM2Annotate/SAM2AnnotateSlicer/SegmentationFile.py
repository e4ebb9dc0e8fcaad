"""SegmentationFile: writing a segmentation to its .seg.nrrd file, and why that cannot be done. Imports slicer."""

from __future__ import annotations

import os
from pathlib import Path

import slicer
from slicer.i18n import tr as _

SUFFIX = ".seg.nrrd"
_OTHER_SUFFIXES = (".seg.nhdr", ".seg.vtm", ".nii.gz", ".nrrd", ".nhdr", ".nii", ".vtm", ".seg")


def withSuffix(path: str) -> str:
    """The path with `SUFFIX`, in place of another one of pictures or segmentations."""
    if path.lower().endswith(SUFFIX):
        return path
    other = next((suffix for suffix in _OTHER_SUFFIXES if path.lower().endswith(suffix)), "")
    return path[: len(path) - len(other)] + SUFFIX


def storedPath(node) -> str:
    """The file that a segmentation was loaded from or last saved to; "" if it has none."""
    storageNode = node.GetStorageNode()
    return "" if storageNode is None else storageNode.GetFileName() or ""


def writeSegmentation(node, path: str) -> str:
    """Write a segmentation; returns why it was not written, "" if it was. The node keeps its file if it was not."""
    before = storedPath(node)
    reason = _whyUnfit(path)
    if not reason and not slicer.util.saveNode(node, path):
        node.GetStorageNode().SetFileName(before or None)
        reason = _("Slicer could not write it; is there room on the disk? Its log has the details.")
    return _("The segmentation was not written to '{path}': {reason}").format(path=path, reason=reason) if reason else ""


def _whyUnfit(path: str) -> str:
    """Why no segmentation can be written to a path; "" if nothing is known against it."""
    folder = Path(path).absolute().parent
    if not path.lower().endswith(SUFFIX):
        return _("only a file {suffix} keeps segments and review together.").format(suffix=SUFFIX)
    if not folder.is_dir():
        return _("the folder '{folder}' does not exist.").format(folder=folder)
    if Path(path).is_dir():
        return _("there is a folder of that name.")
    if not os.access(path if Path(path).exists() else folder, os.W_OK):
        return _("you may not write there.")
    return ""
