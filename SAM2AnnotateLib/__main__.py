"""``python -m SAM2AnnotateLib``: the command line."""

from .cli.main import main

raise SystemExit(main())
