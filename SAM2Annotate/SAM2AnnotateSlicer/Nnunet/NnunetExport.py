"""NnunetExport: preview, export and check of nnU-Net data sets, each in a process of its own. Opens no dialog, knows no widget.

The main thread hands the arrays over in a temporary folder, and nothing more: reading, resampling, compressing and checking are the
command's. The data set changes whole or not at all, also if the command is killed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import InputError, SAM2AnnotateError
from SAM2AnnotateLib.nnunet import DataSet, DataSetPlan
from SAM2AnnotateLib.nnunet.cases.case import require_case_id
from SAM2AnnotateLib.nnunet.cases.splits import AUTO
from SAM2AnnotateLib.nnunet.data_sets.job import ExportJob, write_job

from ..Event import Event
from ..Model.JobCommand import Done, JobCommand
from ..Review.Logic import AnnotationLogic
from ..Told import told
from .NnunetCase import imageOf, patientIdOf, segmentsOf
from .NnunetPlan import LabelRow, dataSetsIn, newPlan


@dataclass(frozen=True)
class ExportForm:
    """What the user says.

    Args:
        rawFolder: nnU-Net's folder of raw data.
        dataSet: name of the data set's folder, ``DatasetNNN_Name``; empty for a new one.
        number, name: of a new data set.
        caseId, patientId: of the case.
        channels: (name, ID of the volume node), the first one's voxels are the case's.
        segmentationId: ID of the segmentation node.
        rows: labels of a new data set.
        ignore: whether a new data set has nnU-Net's ignore label.
        unreviewed: what becomes of unreviewed slices, see `DataSetPlan`.
        testShare: of a new data set, 0 to below 1.
        resample: whether further channels on other voxels are interpolated.
    """

    rawFolder: str
    dataSet: str
    number: int
    name: str
    caseId: str
    patientId: str
    channels: tuple[tuple[str, str], ...]
    segmentationId: str
    rows: tuple[LabelRow, ...] = ()
    ignore: bool = False
    unreviewed: str = "leave_out"
    testShare: float = 0.0
    resample: bool = False

    @property
    def folder(self) -> Path:
        """Where the data set is, or will be."""
        return Path(self.rawFolder) / (self.dataSet or f"Dataset{self.number:03d}_{self.name}")


class NnunetExport:
    """Does the work; one command at a time.

    Args:
        logic: knows the objects of the scene.
        python: the interpreter and its options; Slicer's own by default.

    Attributes:
        exported: emitted with the first volume's node and the data set's folder after a case was written.
    """

    def __init__(self, logic: AnnotationLogic, python: Sequence[str] | None = None):
        self._logic = logic
        self._command = JobCommand(python)
        self.exported = Event()

    @property
    def busy(self) -> bool:
        """Whether a command is running."""
        return self._command.busy

    @property
    def log(self) -> str:
        """What the last command wrote beside its answer."""
        return self._command.log

    def planOf(self, form: ExportForm) -> DataSetPlan:
        """The plan that the case is written with: the data set's own, or that of the form.

        Raises:
            InputError: if the data set was not written by SAM2Annotate, or the form does not make a plan.
        """
        if form.dataSet:
            return DataSet.open(form.folder).plan
        channels = [name for name, _node in form.channels]
        return newPlan(form.number, form.name, channels, form.rows, form.ignore, form.unreviewed, form.testShare)

    def whyNot(self, form: ExportForm) -> str:
        """Why the case cannot be exported as the form says; empty if it can."""
        logic = self._logic
        if self.busy:
            return _("Wait until the work below has ended, or cancel it.")
        if not logic.hasParameters:
            return _("The scene is being closed.")
        if logic.editor.active:
            return _("A slice is being corrected. Finish it (Enter) or leave it (Escape).")
        if logic.running:
            return _("Slices are being computed. Wait, or cancel it.")
        if not form.rawFolder or not Path(form.rawFolder).is_dir():
            return _("Choose nnU-Net's folder of raw data; create one if there is none yet.")
        if any(self._node(nodeId) is None for _name, nodeId in form.channels) or not form.channels:
            return _("Choose a volume for each channel.")
        if self._node(form.segmentationId) is None:
            return _("Choose a segmentation.")
        nodes = [*(self._node(nodeId) for _name, nodeId in form.channels), self._node(form.segmentationId)]
        patients = {patientIdOf(node): node.GetName() for node in reversed(nodes) if patientIdOf(node)}
        if len(patients) > 1:
            (one, first), (other, second), *_rest = reversed(patients.items())
            return _("'{first}' is of patient '{one}', '{second}' of '{other}'. Choose images and segmentation of one patient.").format(
                first=first, one=one, second=second, other=other
            )
        if not form.patientId.strip():
            return _("Enter the patient's id (a pseudonym serves): cases of one patient never part between training and test.")
        try:
            require_case_id(form.caseId)
            plan = self.planOf(form)
        except SAM2AnnotateError as error:
            return told(error)
        if not form.dataSet:
            same = [path.name for path in dataSetsIn(form.rawFolder) if int(path.name[7:10]) == form.number]
            if same:
                return _("The id {number} is taken by '{name}'. Choose that data set, or another id.").format(
                    number=form.number, name=same[0]
                )
        if form.unreviewed == "ignore" and not plan.ignore:
            return _("This data set has no ignore label, which unreviewed slices could become. Choose another rule for them.")
        return ""

    def preview(self, form: ExportForm, done: Done) -> None:
        """Find out what would be written; `done` gets None and the answer of ``nnunet export-job --preview``, or the error.

        Raises:
            SAM2AnnotateError: if the case cannot be made, or handed over.
        """
        job = self._job(form, withVoxels=False, replace=False)
        self._start(job, ["--preview"], done)

    def export(self, form: ExportForm, replace: bool, done: Done) -> None:
        """Write the case; `done` gets None and the answer of ``nnunet export-job``, or the error: then the data set is as it was.

        Args:
            replace: whether a case of this id is replaced.

        Raises:
            SAM2AnnotateError: if the case cannot be made, or handed over.
        """
        job = self._job(form, withVoxels=True, replace=replace)
        volumeId = form.channels[0][1]

        def ended(error: SAM2AnnotateError | None, result: dict) -> None:
            volumeNode = self._node(volumeId)
            if error is None and result.get("type") == "exported" and volumeNode is not None:
                self.exported.emit(volumeNode, result["folder"])
            done(error, result)

        self._start(job, [], ended)

    def verify(self, folder: str | Path, python: str, done: Done) -> None:
        """Check a data set, by nnU-Net's own check where it is installed; `done` gets the answer of ``nnunet verify``.

        Args:
            folder: of the data set.
            python: an interpreter that has nnunetv2; empty for Slicer's.
        """
        self._command.start(["nnunet", "verify", str(folder), *(["--python", python] if python else [])], done)

    def cancel(self) -> None:
        """End the command; its receiver gets `Cancelled`. A data set that was being written is as before."""
        self._command.cancel()

    def cleanup(self) -> None:
        """End what runs without telling anyone."""
        self._command.cleanup()

    # -- within -----------------------------------------------------------------------------------------------------------------------

    def _job(self, form: ExportForm, withVoxels: bool, replace: bool) -> ExportJob:
        reason = self.whyNot(form)
        if reason:
            raise InputError(reason)
        nodes = [self._node(nodeId) for _name, nodeId in form.channels]
        first, segmentationNode = nodes[0], self._node(form.segmentationId)
        plan = self.planOf(form)
        provenance: dict = {"application": f"3D Slicer {slicer.app.applicationVersion}", "frame": "local to the first image"}
        if first.GetParentTransformNode() is not None:
            provenance["transform_not_applied"] = first.GetParentTransformNode().GetName()
        return ExportJob(
            form.folder,
            None if form.dataSet else plan,
            form.caseId,
            form.patientId.strip(),
            tuple(imageOf(node, first, withVoxels) for node in nodes),
            segmentsOf(segmentationNode, first, self._logic.keeper),
            AUTO,
            segmentationNode.GetName(),
            provenance,
            None if form.unreviewed == plan.unreviewed else form.unreviewed,
            form.resample,
            replace,
        )

    def _start(self, job: ExportJob, options: list[str], done: Done) -> None:
        self._command.startIn("export", lambda folder: ["nnunet", "export-job", str(write_job(job, folder)), *options], done)

    def _node(self, nodeId: str):
        return self._logic.scene.GetNodeByID(nodeId) if nodeId else None
