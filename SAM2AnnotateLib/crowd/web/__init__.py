"""The server that a crowd's browsers talk to. Imports assignment, records, project, parts of `server`; FastAPI inside functions."""
