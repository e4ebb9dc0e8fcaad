"""What a study's folder holds: cases, units of work, their inputs and results, calibration, how far it is. Imports configuration."""
