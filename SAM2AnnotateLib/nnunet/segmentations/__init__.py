"""Segments from files: DICOM SEG, .seg.nrrd, label maps. Imports cases."""
