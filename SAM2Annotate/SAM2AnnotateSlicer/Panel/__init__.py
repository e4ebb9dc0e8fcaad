"""The panel: its sections, keys and messages. Imports all other rooms."""
