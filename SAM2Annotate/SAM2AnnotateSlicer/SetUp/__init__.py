"""What must be installed, and the page that installs it. Imports Model."""
