"""Segments as DICOM SEG of the series that a volume was loaded from."""
