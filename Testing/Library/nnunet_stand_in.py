"""A stand-in for the packages nnunetv2 and torch: nnU-Net's entry points, files and log lines, without its network. Standard library.

`install` writes it as packages into a folder that goes on the path of nnU-Net's process. "Training" adds a number to a file per epoch, so
that a test can see which epochs were done, and sleeps; "prediction" thresholds.
"""

from __future__ import annotations

from pathlib import Path

_TRAINER = """
class nnUNetTrainer:
    pass
"""

_PREPROCESSING = """
import json, os, shutil, sys
from pathlib import Path

def plan_and_preprocess_entry():
    print("preprocessing", *sys.argv[1:])
    if os.environ.get("nnUNet_n_proc_DA") == "0":  # as the real one
        raise RuntimeError("set_num_threads expects a positive integer")
    number = int(sys.argv[sys.argv.index("-d") + 1])
    raw = next(Path(os.environ["nnUNet_raw"]).glob(f"Dataset{number:03d}_*"))
    target = Path(os.environ["nnUNet_preprocessed"]) / raw.name
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(raw / "dataset.json", target / "dataset.json")
    with open(target / "times_preprocessed", "a") as file:
        file.write("x")
    if os.environ.get("STAND_IN_FAILS") == "preprocessing":
        raise RuntimeError("the images are strange")
"""

_TRAINING = """
import json, os, shutil, sys, time
from pathlib import Path

def run_training_entry():
    data_set, configuration, fold = sys.argv[1:4]
    settings = json.loads(os.environ["SAM2ANNOTATE_TRAINER"])
    trainer = sys.argv[sys.argv.index("-tr") + 1]
    model = Path(os.environ["nnUNet_results"]) / data_set / f"{trainer}__nnUNetPlans__{configuration}"
    folder = model / f"fold_{fold}"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(os.environ["nnUNet_preprocessed"]) / data_set / "dataset.json", model / "dataset.json")
    with open(folder / "calls", "a") as calls:
        calls.write(" ".join(flag for flag in ("--c", "--val") if flag in sys.argv) + "\\n")
    latest = folder / "checkpoint_latest.pth"
    start = int(latest.read_text()) if "--c" in sys.argv else 0
    for epoch in range(start, 0 if "--val" in sys.argv else settings["epochs"]):
        print(f"2026-01-01 00:00:00.000000: Epoch {epoch}")
        print("2026-01-01 00:00:00.000000: train_loss -0.5")
        print("2026-01-01 00:00:00.000000: val_loss -0.4")
        print("2026-01-01 00:00:00.000000: Pseudo dice [np.float32(0.5)]")
        time.sleep(float(os.environ.get("STAND_IN_SLEEPS", "0")))
        if os.environ.get("STAND_IN_FAILS") == f"epoch {epoch}":
            os.kill(os.getpid(), 9)
        with open(folder / "epochs_done", "a") as done:
            done.write(f"{epoch} ")
        latest.write_text(str(epoch + 1))
        print("2026-01-01 00:00:00.000000: Epoch time: 1.0 s", flush=True)
    (folder / "checkpoint_final.pth").write_text("weights")
    latest.unlink(missing_ok=True)
    if os.environ.get("STAND_IN_FAILS") == "validation":
        os.kill(os.getpid(), 9)
    (folder / "validation").mkdir(exist_ok=True)
    (folder / "validation" / "summary.json").write_text("{}")
"""

_PREDICTION = """
import os, sys
from pathlib import Path

def predict_entry_point_modelfolder():
    import SimpleITK as sitk
    source, target = (Path(sys.argv[sys.argv.index(flag) + 1]) for flag in ("-i", "-o"))
    target.mkdir()
    for path in sorted(source.glob("*_0000.nii.gz")):
        image = sitk.ReadImage(str(path))
        print("Predicting", path.name, sitk.GetArrayFromImage(image).min(), sitk.GetArrayFromImage(image).max(), image.GetSize())
        labels = sitk.Cast(image > 100, sitk.sitkUInt8)
        if os.environ.get("STAND_IN_FAILS") == "grid":
            labels.SetOrigin((99, 99, 99))
        sitk.WriteImage(labels, str(target / path.name.replace("_0000", "")))
"""

_FILES = {
    "torch/__init__.py": "",
    "nnunetv2/__init__.py": "",
    "nnunetv2/training/__init__.py": "",
    "nnunetv2/training/nnUNetTrainer/__init__.py": "",
    "nnunetv2/training/nnUNetTrainer/nnUNetTrainer.py": _TRAINER,
    "nnunetv2/experiment_planning/__init__.py": "",
    "nnunetv2/experiment_planning/plan_and_preprocess_entrypoints.py": _PREPROCESSING,
    "nnunetv2/run/__init__.py": "",
    "nnunetv2/run/run_training.py": _TRAINING,
    "nnunetv2/inference/__init__.py": "",
    "nnunetv2/inference/predict_from_raw_data.py": _PREDICTION,
}


def install(folder: Path) -> dict[str, str]:
    """Write the packages into `folder`; the variables of a process that shall import them."""
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}
