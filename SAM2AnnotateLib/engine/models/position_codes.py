"""Position codes that are computed once. Imports the standard library.

A filled model gives the same codes for every frame of a size, and packages compute them anew for each: 4 to 10 % of encoding a slice.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

_OF_SIZE_ALONE = ("PositionEmbeddingSine", "SinePositionEmbedding")  # ends of classes' names in `transformers`
_OF_HIERA = "_get_pos_embed"


class Kept:
    """A function that is asked once for each of its arguments.

    Args:
        function: whose answers depend on its arguments alone.

    Example:
        >>> asked = []
        >>> kept = Kept(lambda size: asked.append(size) or size * 2)
        >>> kept(3), kept(3), asked
        (6, 6, [3])
    """

    def __init__(self, function: Callable[..., Any]):
        self._function = function
        self._answers: dict[Hashable, Any] = {}

    def __call__(self, *arguments: Any) -> Any:
        """The answer, from before if there is one."""
        key = tuple(tuple(argument) if isinstance(argument, list) else argument for argument in arguments)
        if key not in self._answers:
            self._answers[key] = self._function(*arguments)
        return self._answers[key]


def keep_sine_codes(model: Any) -> None:
    """Keep the codes that follow from a size alone; the model may be filled later."""
    for module in model.modules():
        if type(module).__name__.endswith(_OF_SIZE_ALONE):
            module.forward = Kept(module.forward)


def keep_hiera_codes(model: Any) -> None:
    """Keep the codes that Hiera makes of its weights, for a model whose weights stay as they are."""
    for module in model.modules():
        if hasattr(module, _OF_HIERA):
            setattr(module, _OF_HIERA, Kept(getattr(module, _OF_HIERA)))
