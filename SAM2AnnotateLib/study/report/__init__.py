"""The page: sections, figures, sentences about them. Imports tables, records and configuration."""
