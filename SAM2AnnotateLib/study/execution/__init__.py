"""Who does the work, in which order: one process, several, or a Ray cluster; the run as a whole. Imports all other rooms."""
