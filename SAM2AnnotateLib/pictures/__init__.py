"""Pictures of results. Imports geometry, intensity and (inside functions) Pillow."""
