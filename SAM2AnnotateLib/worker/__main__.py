"""``python -m SAM2AnnotateLib.worker``: serve requests from standard input."""

from .serve import main

raise SystemExit(main())
