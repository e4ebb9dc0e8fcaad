"""Slice views, what they cost, and what a test does with them."""
