"""Images and segments from files: DICOM SEG, .seg.nrrd, label maps. Imports cases."""

from .files import SourceSegments, read_image, read_segments, segments_of_labelmap

__all__ = ["SourceSegments", "read_image", "read_segments", "segments_of_labelmap"]
