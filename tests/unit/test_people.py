"""People and Person: the shapes, frames and files that the README promises."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from nbf.errors import InputError
from nbf.geometry import matrix_from_axis_angle


@pytest.mark.parametrize(("kind", "count"), [("smpl24", 24), ("coco17", 17), ("lsp14", 14)])
def test_joints_project_into_the_picture(make_people, kind, count):
    person = make_people(1)[0]
    joints = person.joints_3d(kind)
    assert joints.shape == (count, 3)
    assert person.joints_2d(kind).shape == (count, 2)
    torch.testing.assert_close(person.camera.project(joints), person.joints_2d(kind))
    inside = (person.joints_2d(kind) >= person.box[:2]) & (person.joints_2d(kind) <= person.box[2:])
    assert inside.all()


def test_left_is_the_persons_own_left(make_people):
    # Somebody who faces the camera has the left shoulder on the right of the picture; the head is above the ankles.
    shoulders = make_people(1, bend=0.0)[0].joints_2d("coco17")[5:7]
    assert shoulders[0, 0] > shoulders[1, 0]
    lsp = make_people(1, bend=0.0)[0].joints_2d("lsp14")
    assert lsp[13, 1] < lsp[[0, 5], 1].min()


def test_unknown_joint_kind_says_which_there_are(make_people):
    with pytest.raises(InputError, match=r"smpl24, coco17, lsp14.*'h36m'"):
        make_people(1)[0].joints_3d("h36m")


def test_people_are_a_frozen_sequence(make_people):
    people = make_people(3)
    assert len(people) == 3
    assert people[-1] is list(people)[2]
    assert len(people[:2]) == 2
    assert type(people[:2]) is type(people)
    assert "3 people in made-up" in repr(people)
    with pytest.raises(dataclasses.FrozenInstanceError):
        people[0].score = 1.0


def test_nobody_is_an_empty_result(make_people, tmp_path):
    nobody = make_people(0)
    assert len(nobody) == 0
    assert not nobody
    assert nobody.numpy() == []
    assert json.loads(nobody.to_json())["people"] == []
    assert nobody.overlay().size == (96, 128)
    assert nobody.summary().width > 4 * 96
    with pytest.raises(InputError, match="nobody to export"):
        nobody.export(tmp_path / "a.glb")


def test_numpy_gives_back_the_parameters(make_people):
    people = make_people(2)
    for person, arrays in zip(people, people.numpy(), strict=True):
        assert all(isinstance(value, np.ndarray) for value in arrays.values())
        rotations = matrix_from_axis_angle(torch.from_numpy(arrays["poses"]).reshape(24, 3))
        torch.testing.assert_close(rotations, person.rotations, atol=1e-5, rtol=0)
        np.testing.assert_array_equal(arrays["vertices"], person.vertices.numpy())


@pytest.mark.parametrize("lens", [None, "given", "EXIF", "guess"])
def test_results_say_how_their_lens_came_about(make_people, lens):
    people = make_people(1)
    people = dataclasses.replace(people, camera=dataclasses.replace(people.camera, lens=lens))
    assert json.loads(people.to_json())["camera"]["lens"] == lens
    assert repr(people).endswith(f"px, lens: {lens})" if lens else "px)")


def test_json_holds_the_parameters(make_people):
    people = make_people(2)
    record = json.loads(people.to_json())
    assert (record["width"], record["height"]) == (96, 128)
    assert len(record["people"]) == 2
    for person, found in zip(people, record["people"], strict=True):
        np.testing.assert_allclose(found["box"], person.box, atol=0.01)
        np.testing.assert_allclose(found["joints"]["coco17"]["2d"], person.joints_2d("coco17"), atol=0.01)
        assert len(found["poses"]) == 72


def test_errors_of_keypoints_are_told_in_pixels_and_left_open_where_nobody_knows(make_people):
    certainty = make_people(1)[0].certainty  # round errors, of a pixel squared at the nose and four at the right ankle
    told = certainty.record()["keypoint_error_px"]
    assert told["nose"] == pytest.approx((np.pi / 2) ** 0.5, abs=0.01)
    assert told["right_ankle"] == pytest.approx(2 * (np.pi / 2) ** 0.5, abs=0.01)
    unknown = dataclasses.replace(certainty, keypoint_covariance=torch.full((17, 2, 2), torch.nan))
    assert set(unknown.record()["keypoint_error_px"].values()) == {None}


@pytest.mark.parametrize("suffix", [".glb", ".GLB", ".obj", ".ply", ".npz"])
def test_export_writes_by_suffix_and_makes_folders(make_people, tmp_path, suffix):
    path = tmp_path / "deep" / f"body{suffix}"
    assert make_people(2).export(path) == path
    assert make_people(1)[0].export(str(path)) == path
    assert path.stat().st_size > 1000
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["body.stl", "body"])
def test_unknown_suffix_says_which_there_are(make_people, tmp_path, name):
    with pytest.raises(InputError, match=r"expected one of \.glb, \.obj, \.npz, \.ply, .*, got"):
        make_people(1).export(tmp_path / name)


def test_part_labels_lie_where_the_crop_lies(make_people):
    person = make_people(1)[0]
    labels = person.parts.labels(96, 128)
    assert labels.shape == (128, 96)
    assert set(np.unique(labels)) == {0, 13}
    rows, columns = np.nonzero(labels == 13)
    # The made-up map has part 13 in rows 16..48 and columns 24..40 of 64.
    crop = person.parts.crop
    low, high = torch.tensor([24, 16]) / 64 * 256, torch.tensor([40, 48]) / 64 * 256
    window = crop.to_image(torch.stack([low, high])).reshape(-1).numpy()
    expected = np.clip(window, 0, [96, 128, 96, 128])
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(seen, expected, atol=2)
