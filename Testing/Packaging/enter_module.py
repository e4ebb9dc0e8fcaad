"""A program: load the module from a folder in the test host, enter it, say in JSON what is there. Imports slicer_host, extension_build.

    python enter_module.py FOLDER_OF_SAM2ANNOTATE_PY FOLDER_OF_SLICER_HOST

An editable installation of the library is put out of reach first: what is imported is what lies in or beside the folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

from extension_build import forget_editable_installations


def widget_names(ui_file: Path) -> list[str]:
    """Names of all widgets in a Qt Designer file, its outermost first."""
    return [element.get("name", "") for element in ElementTree.parse(ui_file).iter("widget")]


def main(folder: Path, host: Path) -> None:
    """Print one line of JSON: where module and library came from, and which of the panel's widgets are missing."""
    forget_editable_installations()
    sys.path.insert(0, str(host))
    import slicer_host

    slicer_host.start()
    from slicer_host.modules.scripted_module import enter_module, load_module, unload_module

    load_module(folder / "SAM2Annotate.py")
    enter_module("SAM2Annotate")

    import slicer

    import SAM2AnnotateLib

    panel = slicer.modules.SAM2AnnotateWidget.parent
    names = widget_names(folder / "Resources" / "UI" / "SAM2Annotate.ui")
    report = {
        "module": sys.modules["SAM2Annotate"].__file__,
        "library": SAM2AnnotateLib.__file__,
        "widgets": len(names),
        "missing": [name for name in names if not slicer.util.findChildren(panel, name=name)],
    }
    unload_module("SAM2Annotate")
    sys.stdout.write("\n" + json.dumps(report) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
