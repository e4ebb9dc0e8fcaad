"""Training of the compact SAM 2 that ships in the package. Imports torch and sam2, and the rooms below.

The one command, which resumes if it is started again::

    python -m SAM2AnnotateLib.training --cases CASES --folder RUN --weights SAM2AnnotateLib/engine/weights/compact.safetensors

CASES holds one folder a case with ``image.*`` and ``label.*``, see `real_cases.TRAINING_CASES`; without ``--cases`` it trains on synthetic
volumes alone. RUN keeps ``state.pt`` and ``log.jsonl``. The model card's figures come from `evaluation`.

The numbers by which a slice's DSC is expected are fitted by ``python -m SAM2AnnotateLib.training.doubt``, see DOUBT.md.
"""
