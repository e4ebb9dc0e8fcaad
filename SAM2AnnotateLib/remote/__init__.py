"""The model on another machine: the client's side of `server`. Needs the package websockets, no torch. Imports worker and below.

Nothing of it is imported unless a server is asked for.
"""
