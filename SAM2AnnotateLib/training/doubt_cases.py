"""The cases that the doubt is fitted on, and those that are held out of it. Imports training.real_cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .real_cases import only_file


@dataclass(frozen=True)
class DoubtCase:
    """A case of the shared test volumes.

    Args:
        name: of its folder; of ``hippo_study`` the number.
        labels: values to annotate, () for all.
        patient: whose it is; cases of a patient are left out together.
        family: kind of data, which counts by the square root of its objects: twenty hippocampi are not twenty kinds of objects.
    """

    name: str
    labels: tuple[int, ...] = ()
    patient: str = ""
    family: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "patient", self.patient or self.name)
        object.__setattr__(self, "family", self.family or self.patient)

    def files(self, folder: Path) -> tuple[Path, Path]:
        """Image and label map."""
        if self.family == "hippocampus" and self.name.isdecimal():
            study = folder / "hippo_study"
            return study / "images" / f"hippocampus_{self.name}.nii.gz", study / "labels" / f"hippocampus_{self.name}.nii.gz"
        own = folder / self.name
        return own / "dicom" if (own / "dicom").exists() else only_file(own, "image.*"), only_file(own, "label.*")


# Of the cases with labels by a model (TotalSegmentator) only large organs: the outlines of the others are too coarse to judge by.
FITTED_CASES = (
    DoubtCase("mr_brain_001"),
    DoubtCase("mr_cardiac_3", family="heart"),
    DoubtCase("mr_sarcoma_003", patient="STS_003", family="sarcoma"),
    DoubtCase("ct_sarcoma_003", patient="STS_003", family="sarcoma"),
    DoubtCase("mr_gbm_001_dicom", family="glioblastoma"),
    DoubtCase("mr_gbm_006", family="glioblastoma"),
    DoubtCase("ct_liver_chaos"),
    DoubtCase("ct_abdomen_ts", (1, 5)),
    *(DoubtCase(f"mr_hippo_{n}", family="hippocampus") for n in ("001", "067", "105", "108", "123", "127", "154", "160", "165", "194")),
    DoubtCase("mr_cardiac_1", family="heart"),
    DoubtCase("mr_cardiac_5", family="heart"),
    DoubtCase("mr_cord_gm", family="cord"),
    DoubtCase("mr_cord_t1", family="cord"),
    DoubtCase("ct_sarcoma_001", patient="STS_001", family="sarcoma"),
    DoubtCase("mr_sarcoma_001", patient="STS_001", family="sarcoma"),
    DoubtCase("mr_abdomen_ts", (1, 2, 5, 6)),
    DoubtCase("ct_torso_ts", (1, 2, 5, 21)),
    DoubtCase("ct_lung_elastix"),
)
# Never fitted on, nor looked at while the terms were chosen.
HELD_OUT_CASES = tuple(DoubtCase(n, family="hippocampus") for n in ("124", "133", "135", "143", "148", "156", "173", "175", "176", "178"))
