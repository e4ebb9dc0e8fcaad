"""Slicer's module `SampleData`, as far as registering a case in it goes. Imports slicer-core; nothing is downloaded here."""

from __future__ import annotations

import types
from pathlib import Path

import slicer


class SampleDataSource:
    """One registered case: the arguments of its registration under the same names."""

    def __init__(
        self,
        sampleName,
        uris,
        fileNames,
        nodeNames,
        checksums,
        loadFileType,
        loadFiles,
        customDownloader,
        thumbnailFileName,
        loadFileProperties,
    ):
        self.sampleName = sampleName
        self.uris = _as_list(uris)
        self.fileNames = _as_list(fileNames)
        self.nodeNames = _as_list(nodeNames)
        self.checksums = _as_list(checksums)
        self.loadFileType = _as_list(loadFileType)
        self.loadFiles = loadFiles
        self.customDownloader = customDownloader
        self.thumbnailFileName = thumbnailFileName
        self.loadFileProperties = loadFileProperties or {}
        lengths = {len(values) for values in (self.uris, self.fileNames, self.nodeNames) if values}
        if len(lengths) > 1:
            raise ValueError(f"{sampleName}: uris, fileNames and nodeNames must be of one length, got {lengths}")


class SampleDataLogic:
    """The registry, `slicer.modules.sampleDataSources`: category -> list of cases."""

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType="VolumeFile",
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
    ):
        if thumbnailFileName is not None and not Path(thumbnailFileName).is_file():
            raise ValueError(f"{sampleName}: the thumbnail {thumbnailFileName} does not exist")
        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        if all(source.sampleName != sampleName for source in sources):
            loading = (loadFileType, loadFiles, customDownloader, thumbnailFileName, loadFileProperties)
            sources.append(SampleDataSource(sampleName, uris, fileNames, nodeNames, checksums, *loading))


def module() -> types.ModuleType:
    """A module with the names of `SampleData` that the host has."""
    found = types.ModuleType("SampleData")
    found.SampleDataLogic = SampleDataLogic
    found.SampleDataSource = SampleDataSource
    return found


def _as_list(value) -> list:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
