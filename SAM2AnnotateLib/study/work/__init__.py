"""The work of one case and of one downstream model. Imports records and configuration; runs models through the engine's protocol."""
