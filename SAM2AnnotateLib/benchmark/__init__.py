"""Ours against stock SAM 2: same weights, same frames, alternating runs, ratios. Imports the library, torch and sam2."""
