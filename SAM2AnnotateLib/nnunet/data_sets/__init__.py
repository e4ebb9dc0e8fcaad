"""A data set's folder: written whole or not at all, recorded, reported; predictions back as proposals. Imports cases."""
