"""What predictions are worth: scores, comparisons, tables, plots. Imports runs for their folders."""
