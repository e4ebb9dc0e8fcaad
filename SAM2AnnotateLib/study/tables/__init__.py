"""Results as tables, one file a question. Imports records and configuration."""
