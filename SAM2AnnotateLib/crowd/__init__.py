"""Boxes from many people in a browser, and labels that can be trusted (study C). Imports engine, propagation, review, nnunet and server."""
