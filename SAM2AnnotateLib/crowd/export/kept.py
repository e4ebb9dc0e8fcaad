"""A consensus as it is kept in a project's folder, with its masks, read for export. Imports outcome, project and geometry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...geometry import Volume, VolumeGrid
from ...json_input import Fields
from ...volume_io import read_volume
from ..masks import MaskedSlice
from ..outcome import RunKey, read_outcome, read_run
from ..project import CrowdProject


@dataclass(frozen=True, eq=False)
class KeptVolume:
    """What is kept of one volume.

    Args:
        key: of the volume.
        image: its voxels.
        masks: by object's key: by position.
        slices: rows of the consensus, by object's key and position; slices that nobody was asked about have none.
    """

    key: str
    image: Volume
    masks: Mapping[str, Mapping[int, MaskedSlice]]
    slices: Mapping[str, Mapping[int, dict]]


class KeptOutcome:
    """The consensus of a project, as ``crowd consensus`` left it.

    Args:
        project: whose.

    Raises:
        InputError: if there is none, it is damaged, or it has no masks.
    """

    def __init__(self, project: CrowdProject):
        self.project = project
        self.about: Fields = read_outcome(project.folder)
        if self.about.text("project") != project.key:
            raise InputError(f"The consensus is of the project '{self.about.text('project')[:60]}', not of '{project.key}'. Make it anew.")
        if not self.about.text("way"):
            raise InputError(
                "The consensus was made without a model, so there are no masks to export.", "Run: sam2annotate crowd consensus FOLDER"
            )
        self._rows: dict[str, dict[str, dict[int, dict]]] = {}
        try:
            for row in self.about.items("slices"):
                self._rows.setdefault(row["volume"], {}).setdefault(row["object"], {})[row["position"]] = row
        except (KeyError, TypeError) as exc:
            raise InputError(f"The consensus in '{project.folder}' is damaged ({exc!r}). Run 'crowd consensus' again.") from exc

    @property
    def digest(self) -> str:
        """SHA-256 of the answers that it rests on."""
        return self.about.text("digest")

    def volumes(self) -> Iterator[KeptVolume]:
        """The volumes with masks, one after the other, in the project's order. Raises as `read_run` and `read_volume`."""
        for volume in self.project.volumes:
            masks = {}
            for one in self.project.objects:
                run = read_run(self.project.folder, RunKey(volume.key, one.key))
                if run is not None:
                    masks[one.key] = run.slices
            if masks:
                image = read_volume(volume.path)
                yield KeptVolume(volume.key, image, masks, self._rows.get(volume.key, {}))

    def mask_kji(self, volume: KeptVolume, name: str) -> np.ndarray:
        """(k, j, i) bool mask of one object on the image's grid."""
        stack = self.project.volume(volume.key).stack
        grid: VolumeGrid = volume.image.grid
        whole = np.zeros(grid.shape_kji, dtype=bool)
        frames = stack.view(whole)
        for position, one in volume.masks[name].items():
            frames[position] = one.mask
        return whole

    def doubtful_kji(self, volume: KeptVolume, name: str, least: float) -> np.ndarray:
        """(k, j, i) bool: whole slices of an object that are in so much doubt and that nobody decided."""
        stack = self.project.volume(volume.key).stack
        whole = np.zeros(volume.image.grid.shape_kji, dtype=bool)
        frames = stack.view(whole)
        for position, row in volume.slices.get(name, {}).items():
            if row["source"] == "answers" and row["doubt"] >= least:
                frames[position] = True
        return whole

    def provenance(self, volume: KeptVolume) -> dict:
        """Who said what made these labels, when, and how many a slice; under pseudonyms, as plain JSON."""
        stack = self.project.volume(volume.key).stack
        objects = {}
        here: set[str] = set()
        for one in self.project.objects:
            if one.key not in volume.masks:
                continue
            slices = {}
            for position, row in sorted(volume.slices.get(one.key, {}).items()):
                here |= set(row["answers"])
                slices[str(stack.index_of(position))] = {
                    "people": len(row["answers"]), "answers": row["answers"], "presence": row["presence"], "source": row["source"],
                    "doubt": row["doubt"],
                }  # fmt: skip
            objects[one.name] = {"key": one.key, "asked_slices": len(slices), "slices": slices}
        people = [row for row in self.about.items("people") if row["person"] in here]
        return {
            "crowd": {
                "project": self.project.key, "axis": stack.index_axis, "consensus_sha256": self.digest, "made": self.about.text("made"),
                "way": self.about.text("way"), "engine": self.about.object("engine").values, "people": people, "objects": objects,
            }
        }  # fmt: skip
