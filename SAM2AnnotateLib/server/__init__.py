"""A model lent to others over the network. Imports worker, engine and below; FastAPI, uvicorn and Ray inside functions."""
