"""Training of the compact SAM 2 that ships in the package. Imports torch and sam2, and the rooms below; nothing imports it but its command."""
