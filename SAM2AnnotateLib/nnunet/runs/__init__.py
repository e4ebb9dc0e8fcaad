"""The real nnU-Net in a process of its own: check, train, predict. Imports data_sets and cases."""
