"""SharedService: the one model process of the application, which panel and console use together, and who ends it. Imports ModelService."""

from __future__ import annotations

from pathlib import Path

from . import ModelService

_service = None
_panels = 0


def theService(logFolder: str | Path):
    """The model of the application; made, but not started, if there is none. A script asks for it anew each time."""
    global _service
    if _service is None:
        _service = ModelService.ModelService(logFolder=logFolder)
    return _service


def panelCame(service) -> None:
    """A panel is there, which owns the model from now on, until `panelGone`."""
    global _panels
    if service is _service:
        _panels += 1


def panelGone(service) -> None:
    """A panel goes: its model's process ends, unless there is another panel."""
    global _panels
    if service is _service:
        _panels -= 1
        if _panels == 0:
            _end()
    else:  # one of its own
        service.close()


def scriptDone() -> None:
    """Scripts need the model no longer: its process ends, unless it is a panel's."""
    if _panels == 0:
        _end()


def _end() -> None:
    global _service
    service, _service = _service, None
    if service is not None:
        service.close()
