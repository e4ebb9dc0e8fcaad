"""OneLineParser: what argparse finds wrong with a command line, in one line as all other errors. Imports argparse."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

ERROR_PREFIX = "sam2annotate: error: "
_BAD_COMMAND_LINE = 2


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong, what was expected and where to read on; the parsers of subcommands are of this class, too."""

    def error(self, message: str) -> NoReturn:
        """End the program with one line on standard error."""
        missing = re.fullmatch(r"the following arguments are required: (.+)", message)
        text = self._missing(missing[1].split(", ")) if missing is not None else message[:1].upper() + message[1:]
        self.exit(_BAD_COMMAND_LINE, f"{ERROR_PREFIX}{' '.join(text.split()).rstrip('.')}. See '{self.prog} --help'.\n")

    def _missing(self, names: list[str]) -> str:
        """What a command needs that was not given; of a single thing also what it means."""
        known = {"/".join(action.option_strings) or str(action.metavar or action.dest): action for action in self._actions}
        shown = []
        for name in names:
            action = known.get(name)
            option = action is not None and action.option_strings and action.metavar is not None
            shown.append(f"{action.option_strings[-1]} {action.metavar}" if option and action is not None else name)
        alone = known.get(names[0]) if len(names) == 1 else None
        meaning = f" ({alone.help})" if alone is not None and alone.help else ""
        return f"'{self.prog}' needs {', '.join(shown)}{meaning}"
