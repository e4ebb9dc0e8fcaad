"""project.yaml: what works, what is refused and how, pictures and known answers."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from crowd_cases import OBJECTS, a_crowd_project, a_crowd_volume, write_yaml
from PIL import Image

from SAM2AnnotateLib.crowd.answers import Task
from SAM2AnnotateLib.crowd.project import ProjectPictures, SliceChoice, gold_answers, read_project, write_project
from SAM2AnnotateLib.crowd.project.gold import parts_of
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Box2D, Volume, VolumeGrid
from SAM2AnnotateLib.propagation import SliceEncoder
from SAM2AnnotateLib.volume_io import read_volume, write_volume


def test_tasks_are_every_object_on_every_chosen_slice(tmp_path):
    project = a_crowd_project(tmp_path / "balls", volumes=1, gold=1)
    assert len(project.tasks()) == 16 and len(set(project.tasks())) == 16
    assert {task.volume for task in project.tasks()} == {"p0", "g0"}


def test_a_range_is_in_the_file_s_slice_numbers_and_positions_are_upright(tmp_path):
    image, _ = a_crowd_volume(tmp_path, "p0")
    write_yaml(
        tmp_path, key="x", title="X", objects=list(OBJECTS),
        volumes=[{"key": "p0", "image": image.name, "slices": {"first": 1, "last": 5, "every": 2}}],
    )  # fmt: skip
    project = read_project(tmp_path)
    stack = project.volumes[0].stack
    assert stack.flipped[0]
    assert {stack.index_of(task.position) for task in project.tasks()} == {1, 3, 5}


def test_volumes_are_read_once_and_again_when_they_change(tmp_path):
    folder = tmp_path / "balls"
    a_crowd_project(folder, volumes=2, gold=0)
    said: list[str] = []
    read_project(folder, said.append)
    assert said == []
    a_crowd_volume(folder, "p1", seed=99, slices=9)
    project = read_project(folder, said.append)
    assert len(said) == 1 and said[0].startswith("p1: 9 slices")
    assert ProjectPictures(project).slice_count("p1") == 9


@pytest.mark.parametrize("damage", ["{}", "no json", '{"format": 1}'])
def test_a_damaged_prepared_file_is_made_anew(tmp_path, damage):
    folder = tmp_path / "balls"
    before = ProjectPictures(a_crowd_project(folder, volumes=1, gold=0)).png("p0", 3)
    (folder / "prepared" / "p0.json").write_text(damage)
    assert ProjectPictures(read_project(folder)).png("p0", 3) == before


def test_the_png_is_the_gray_that_the_engine_gets(tmp_path, a_patient, orientation):
    stored = orientation.volume(a_patient)
    write_volume(stored, tmp_path / "p.nrrd")
    write_yaml(tmp_path, key="x", title="X", objects=list(OBJECTS), volumes=[{"key": "p", "image": "p.nrrd"}], axis="sagittal", window="mr")
    project = read_project(tmp_path)
    pictures, volume = ProjectPictures(project), read_volume(tmp_path / "p.nrrd")
    encoder = SliceEncoder(ScriptedEngine(), volume, pictures.stack("p"), pictures.mapping("p"))
    rows, cols = pictures.shape_rc("p")
    assert pictures.slice_count("p") == encoder.slice_count == 6
    for position in range(encoder.slice_count):
        seen = np.array(Image.open(io.BytesIO(pictures.png("p", position))))
        assert seen.dtype == np.uint8
        np.testing.assert_array_equal(seen, encoder.picture(position, Box2D(0, rows, 0, cols)))
    # Upright whatever the file's order: rows run down to inferior, columns to posterior, slices to the right.
    upright = pictures.mapping("p").to_uint8(np.transpose(a_patient.array_kji, (2, 0, 1))[:, ::-1, ::-1])
    np.testing.assert_array_equal(np.stack([pictures.gray("p", n) for n in range(6)]), upright)


def test_nothing_of_the_patient_is_kept_beside_the_gray(tmp_path):
    folder = tmp_path / "balls"
    a_crowd_project(folder, volumes=1, gold=0)
    facts = json.loads((folder / "prepared" / "p0.json").read_text())
    assert set(facts) == {"format", "source", "axis", "window", "stack", "mapping"}
    assert (folder / "prepared").stat().st_mode & 0o077 == 0


def test_known_answers_come_from_the_label_map_upright(tmp_path):
    project = a_crowd_project(tmp_path / "balls", volumes=1, gold=1)
    known = gold_answers(project)
    assert len(known) == 8
    stack = project.volume("g0").stack
    labels = stack.view(read_volume(project.volume("g0").gold).array_kji)
    for task, answer in known.items():
        assert answer.boxes_rc == ((Box2D.around(labels[task.position]),) if labels[task.position].any() else ())
    assert {answer.kind for answer in known.values()} == {"box", "absent"}


def test_parts_have_boxes_of_their_own_and_specks_are_no_question():
    mask = np.zeros((12, 12), dtype=bool)
    assert parts_of(mask, 4) == ()
    mask[1:4, 1:4] = mask[6:9, 6:9] = True
    mask[11, 0] = True
    assert parts_of(mask, 4) == (Box2D(1, 4, 1, 4), Box2D(6, 9, 6, 9))
    assert parts_of(mask, 10) is None


def test_known_answers_of_a_file_are_in_slice_numbers(tmp_path):
    folder = tmp_path / "balls"
    folder.mkdir()
    (folder / "known.json").write_text(json.dumps([{"volume": "p0", "object": "ball", "slice": 1, "boxes_rc": [[2, 9, 3, 7]]}]))
    project = a_crowd_project(folder, volumes=1, gold=0, known_answers="known.json")
    position = project.volume("p0").stack.position_of(1)
    assert position == 6
    task = Task("p0", "ball", position)
    assert gold_answers(project)[task].boxes_rc == (Box2D(2, 9, 3, 7),)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"volume": "p9", "object": "ball", "slice": 1, "boxes_rc": []}, "has no volume 'p9'"),
        ({"volume": "p0", "object": "cube", "slice": 1, "boxes_rc": []}, "has no object 'cube'"),
        ({"volume": "p0", "object": "ball", "slice": 8, "boxes_rc": []}, "from 0 to 7"),
        ({"volume": "p0", "object": "ball", "slice": 1, "boxes_rc": [[5, 5, 1, 2]]}, "is empty or leaves the slice"),
        ({"volume": "p0", "object": "ball", "slice": 1, "boxes_rc": [[0, 99, 1, 2]]}, "is empty or leaves the slice"),
        ({"volume": "p0", "object": "ball", "slice": 1, "boxes_rc": [1]}, "a box is"),
        ({"volume": "p0", "object": "ball", "slice": 1}, "'boxes_rc' should be a list"),
    ],
)
def test_a_wrong_known_answer_is_told(tmp_path, entry, told):
    folder = tmp_path / "balls"
    folder.mkdir()
    (folder / "known.json").write_text(json.dumps([entry]))
    with pytest.raises(InputError, match=told):
        gold_answers(a_crowd_project(folder, volumes=1, gold=0, known_answers="known.json"))


def test_a_label_map_of_another_grid_is_told(tmp_path):
    folder = tmp_path / "balls"
    project = a_crowd_project(folder, volumes=1, gold=1)
    write_volume(Volume(VolumeGrid((8, 32, 36), np.eye(4)), np.zeros((8, 32, 36), dtype=np.uint8)), folder / "g0_label.nii.gz")
    with pytest.raises(InputError, match="g0_label"):
        gold_answers(project)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"key": "a/b"}, "cannot name a project"),
        ({"title": ""}, "title: expected text"),
        ({"title": "x" * 200}, "'title' has 1 to 120"),
        ({"title": None}, "lacks 'title'"),
        ({"objects": []}, "names nothing to look for"),
        ({"objects": [{"key": "a", "name": "A"}]}, r"objects\[1\] lacks 'sentence'"),
        ({"objects": [{"key": "a", "name": "A", "sentence": "s", "colour": "red"}]}, r"objects\[1\]: unknown key 'colour'"),
        ({"objects": [{"key": "a", "name": "A", "sentence": "s", "label": 0}]}, "'label' is 1 to 32767"),
        ({"objects": [{"key": k, "name": "A", "sentence": "s", "label": 1} for k in "ab"]}, "a 'label' of its own"),
        ({"objects": [{"key": "a", "name": "A", "sentence": "s"}, {"key": "A", "name": "A", "sentence": "s"}]}, "the name is given twice"),
        ({"objects": [{"key": "a", "name": "A", "sentence": "s", "examples": ["../x.png"]}]}, "may lead out of"),
        ({"objects": [{"key": "a", "name": "A", "sentence": "s", "examples": ["/etc/passwd"]}]}, "may lead out of"),
        ({"objects": [{"key": "a", "name": "A", "sentence": "s", "examples": ["gone.png"]}]}, "'gone.png' cannot be read"),
        ({"objects": [{"key": "a", "name": "A", "sentence": "s", "examples": ["fake.png"]}]}, "is no PNG, whatever its name says"),
        ({"objects": [{"key": "a", "name": "A", "sentence": "s", "examples": ["page.svg"]}]}, "should be a file that ends in"),
        ({"volumes": []}, "names no volume"),
        ({"volumes": [{"key": "p0", "image": "gone.nii.gz"}]}, "There is no '.*gone.nii.gz'. Paths count from"),
        ({"volumes": [{"key": "../p0", "image": "p0.nii.gz"}]}, "cannot name a volume"),
        ({"volumes": [{"key": "p0", "image": "p0.nii.gz", "slices": {"first": 3, "last": 99}}]}, "the volume has the slices 0..7 along k"),
        ({"volumes": [{"key": "p0", "image": "p0.nii.gz", "slices": {"first": 5, "last": 3}}]}, "Swap them"),
        ({"volumes": [{"key": "p0", "image": "p0.nii.gz", "slices": 4}]}, "expected all, or a block such as"),
        ({"volumes": [{"key": "p0", "image": "p0.nii.gz", "slices": {"every": 0}}]}, "'every' is 1"),
        ({"volumes": [{"key": "p0", "image": "p0.nii.gz", "gold_slices": "all"}]}, "there is no label map 'gold'"),
        ({"volumes": [{"key": "p0", "image": "fake.png"}]}, "Volume 'p0': 'fake.png' is of no known type"),
        ({"axis": "oblique"}, "Unknown axis 'oblique'"),
        ({"window": "bonee"}, "Unknown window"),
        ({"people_per_slice": 0}, "'people_per_slice' is 1 to 100, got 0"),
        ({"people_per_slice": 2.5}, "people_per_slice: expected a whole number"),
        ({"gold_share": 1.5}, "'gold_share' is 0 to 0.9"),
        ({"reservation_minutes": -1}, "'reservation_minutes' is"),
        ({"peoples_per_slice": 2}, "Did you mean 'people_per_slice'"),
        ({"known_answers": "gone.json"}, "gone.json"),
    ],
)
def test_what_is_wrong_in_project_yaml_is_told_with_its_place(tmp_path, changed, told):
    a_crowd_volume(tmp_path, "p0")
    (tmp_path / "fake.png").write_bytes(b"<svg onload=alert(1)>")
    (tmp_path / "page.svg").write_bytes(b"<svg onload=alert(1)>")
    good = {"key": "x", "title": "X", "objects": list(OBJECTS), "volumes": [{"key": "p0", "image": "p0.nii.gz"}]}
    write_yaml(tmp_path, **good)
    read_project(tmp_path)
    write_yaml(tmp_path, **{**good, **changed})
    with pytest.raises(InputError, match=told) as caught:
        read_project(tmp_path)
    assert str(caught.value).startswith(f"'{tmp_path / 'project.yaml'}'")


def test_an_example_that_is_a_link_out_of_the_project_is_refused(tmp_path):
    folder = tmp_path / "balls"
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\nsecret")
    folder.mkdir()
    (folder / "one.png").symlink_to(tmp_path / "secret.png")
    objects = [{**OBJECTS[0], "examples": ["one.png"]}]
    with pytest.raises(InputError, match="is a link to somewhere else"):
        a_crowd_project(folder, volumes=1, gold=0, objects=objects)


def test_init_writes_a_project_that_can_be_read(tmp_path):
    images = [a_crowd_volume(tmp_path, key)[0] for key in ("p one", "p-one")]
    label = tmp_path / "p-one_label.nii.gz"
    made = write_project(
        tmp_path / "crowd: of 'balls'", images, {"Ball": 'The "bright" one: # round', "#2 \u00e4": "x"}, gold={images[1]: label}, every=2
    )
    again = read_project(tmp_path / "crowd: of 'balls'")
    assert again == made
    assert [one.key for one in again.volumes] == ["p-one", "p-one-2"]
    assert [(one.key, one.name, one.label) for one in again.objects] == [("Ball", "Ball", 1), ("2", "#2 \u00e4", 2)]
    assert again.objects[0].sentence == 'The "bright" one: # round'
    assert again.training_count == 5 and again.gold_share == 0.1 and again.rules.training_pass == 0
    assert len(gold_answers(again)) == 16


def test_init_writes_over_nothing_and_leaves_nothing_wrong(tmp_path):
    image, _ = a_crowd_volume(tmp_path, "p0")
    write_project(tmp_path / "a", [image], {"Ball": "x"})
    with pytest.raises(InputError, match="There is a project in"):
        write_project(tmp_path / "a", [image], {"Ball": "x"})
    with pytest.raises(InputError, match=re.escape("There is no")):
        write_project(tmp_path / "b", [tmp_path / "gone.nii"], {"Ball": "x"})
    assert not (tmp_path / "b" / "project.yaml").exists()


def test_init_with_a_label_map_that_does_not_fit_leaves_nothing_and_can_be_done_again(tmp_path):
    image, label = a_crowd_volume(tmp_path, "p0")
    elsewhere = tmp_path / "elsewhere.nii.gz"
    write_volume(Volume(VolumeGrid((8, 32, 36), np.eye(4)), np.zeros((8, 32, 36), dtype=np.uint8)), elsewhere)
    folder = tmp_path / "balls"
    for gold, training in ((elsewhere, 0), (tmp_path / "gone.nii.gz", 0), (label, 9)):
        with pytest.raises(InputError, match="elsewhere|gone|only 8 answers are known"):
            write_project(folder, [image], {"Ball": "x"}, gold={image: gold}, training=training)
        assert not folder.exists()
    assert len(gold_answers(write_project(folder, [image], {"Ball": "x"}, gold={image: label}))) == 8
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "mine.txt").write_text("of somebody")
    with pytest.raises(InputError, match="elsewhere"):
        write_project(kept, [image], {"Ball": "x"}, gold={image: elsewhere})
    assert [one.name for one in kept.iterdir()] == ["mine.txt"]


def test_every_nth_slice_begins_with_the_first():
    class Upright:
        shape_src = (10, 4, 4)
        index_axis = "k"

        @staticmethod
        def position_of(index):
            return index

    assert SliceChoice(every=4).positions(Upright()) == (0, 4, 8)
    assert SliceChoice(every=3, first=2).positions(Upright()) == (2, 5, 8)
