"""``python -m SAM2AnnotateLib.remote ADDRESS``: the relay, on standard input and output."""

from .relay import main

raise SystemExit(main())
