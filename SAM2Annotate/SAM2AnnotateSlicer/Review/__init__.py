"""One object under review, and the steps of the work: the logic, which knows no widget. Imports Scene and Model."""
