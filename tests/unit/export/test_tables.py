"""Files for scientists: AMASS' archives, COCO's keypoints, tables of joints, SMPL's parameters."""

import csv
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from motions import motion, off_origin

from nbf.body.files import load_body
from nbf.body.joints import SMPL24
from nbf.body.model import BodyData, BodyModel
from nbf.data.sets.amass import read_amass as read_amass_set
from nbf.errors import InputError
from nbf.export import write
from nbf.export.amass import read_amass
from nbf.export.smpl import write_smpl
from nbf.export.table import read_csv
from nbf.export.world import CAMERA, World
from nbf.geometry import matrix_from_axis_angle
from nbf.motion import Motion
from nbf.pictures import Picture
from nbf.proxy.keypoint_files import read_keypoints


@pytest.mark.parametrize("frames", [1, 4])
def test_a_motion_is_read_back(tmp_path: Path, frames: int) -> None:
    someone = replace(motion("somebody", frames=frames), frame_rate=None if frames == 1 else 25.0, start=frames - 1)
    read = read_amass(write([someone], tmp_path / "walk.amass.npz"))
    for value in ("name", "frame_rate", "body_name", "start"):
        assert getattr(read, value) == getattr(someone, value)
    torch.testing.assert_close(read.betas, someone.betas)
    torch.testing.assert_close(read.rotations, someone.rotations, atol=1e-5, rtol=0)
    torch.testing.assert_close(read.joints(), someone.joints(), atol=1e-5, rtol=0)


def test_a_reader_of_amass_finds_the_motion(tmp_path: Path) -> None:
    """Ours of the data set, which turns AMASS' world to y up; hands, which SMPL+H has not, are straight to it."""
    someone = motion()
    write([someone], tmp_path / "CMU" / "01" / "walk.amass.npz").rename(tmp_path / "CMU" / "01" / "walk_poses.npz")
    (sequence,) = read_amass_set(tmp_path, "train")
    assert (sequence.gender, sequence.rate) == ("neutral", 25)
    turns = matrix_from_axis_angle(torch.from_numpy(sequence.poses))
    expected = someone.moved(World.as_seen().from_camera).rotations
    torch.testing.assert_close(turns[:, :22], expected[:, :22], atol=1e-5, rtol=0)


def test_amass_world_has_z_up_and_the_file_says_whose_betas_it_has(tmp_path: Path) -> None:
    someone = off_origin(motion())
    path = write([someone], tmp_path / "walk.amass.npz", ground=True)
    with np.load(path) as file:
        arrays = dict(file)
    assert arrays["poses"].shape == (3, 156)
    assert str(arrays["body_model"]) == "anny24"
    assert "SMPL's betas mean other shapes" in str(arrays["betas_are_not_smpl"])
    assert str(arrays["frame"]).startswith("z up, ground at z = 0")
    rotations = matrix_from_axis_angle(torch.from_numpy(arrays["poses"][:, :66]).unflatten(1, (22, 3)))
    placed = someone.body.rest_joints(someone.betas)[0] + torch.from_numpy(arrays["trans"])
    upright = World.on_ground([someone])
    expected = someone.moved(upright.from_camera).joints()[:, 0]
    torch.testing.assert_close(placed, torch.stack([expected[:, 0], -expected[:, 2], expected[:, 1]], 1))
    assert (rotations[:, 0, 2, 1] > 0.7).all()  # heads are up


def test_coco_keypoints_are_those_of_the_body(make_people, tmp_path: Path) -> None:
    people = make_people(2)
    path = people.export(tmp_path / "a.coco.json")
    read = read_keypoints(path, people.picture.width, people.picture.height)
    for person, points in zip(people, read, strict=True):
        torch.testing.assert_close(points[:, :2], person.joints_2d("coco17"), atol=1e-3, rtol=0)
        torch.testing.assert_close(points[:, 2], person.keypoints[:, 2])
    entry = json.loads(path.read_text())[0]
    assert len(entry["keypoints"]) == 51
    assert (entry["image_id"], entry["category_id"], entry["body_model"]) == ("made-up", 1, "anny24")


@pytest.mark.parametrize(("name", "number"), [("val/000000000139.jpg", 139), ("walk.jpg", "walk"), ("²", "²")])
def test_coco_pictures_are_numbers(make_people, tmp_path: Path, name: str, number: object) -> None:
    person = make_people(1)[0]
    person = replace(person, picture=Picture(person.picture.pixels, name))
    assert json.loads(person.export(tmp_path / "a.coco.json").read_text())[0]["image_id"] == number


def test_a_table_has_a_row_a_joint(make_people, tmp_path: Path) -> None:
    people = make_people(2)
    path = people.export(tmp_path / "a.csv")
    rows = read_csv(path)
    assert [row.joint for row in rows] == [*SMPL24, *SMPL24]
    assert [row.person for row in rows] == ["person_0"] * 24 + ["person_1"] * 24
    assert {(row.picture, row.frame, row.coordinates, row.body_model) for row in rows} == {
        ("made-up", 0, CAMERA, "anny24")
    }
    places = np.array([[row.x_m, row.y_m, row.z_m] for row in rows]).reshape(2, 24, 3)
    pixels = np.array([[row.u_px, row.v_px] for row in rows]).reshape(2, 24, 2)
    errors = np.array([row.error_m for row in rows]).reshape(2, 24)
    for index, person in enumerate(people):
        np.testing.assert_allclose(places[index], person.joints_3d(), atol=1e-5)
        np.testing.assert_allclose(pixels[index], person.joints_2d(), atol=1e-2)
        np.testing.assert_allclose(errors[index], person.certainty.joint_error, atol=1e-6)
    with path.open() as file:
        assert [row["joint"] for row in csv.DictReader(file)] == [row.joint for row in rows]


def test_a_table_of_a_film_counts_frames_and_leaves_pixels_empty(tmp_path: Path) -> None:
    someone = replace(motion(), start=7)
    rows = read_csv(write([someone], tmp_path / "a.csv", ground=True))
    assert [row.frame for row in rows] == [7] * 24 + [8] * 24 + [9] * 24
    assert all(np.isnan([row.u_px, row.v_px, row.error_m]).all() for row in rows)
    places = np.array([[row.x_m, row.y_m, row.z_m] for row in rows]).reshape(3, 24, 3)
    move = World.on_ground([someone]).from_camera
    np.testing.assert_allclose(places, someone.moved(move).joints(), atol=1e-5)


@cache
def smpl() -> BodyModel:
    """A made-up model for SMPL's: fewer shapes that mix ours, other proportions, and bulges by the pose."""
    ours, generator = load_body("anny24", "small"), torch.Generator().manual_seed(0)
    data = BodyData(**{name: getattr(ours, name) for name in BodyData.__dataclass_fields__})
    mix, stretch = torch.linalg.qr(torch.randn(11, 8, generator=generator))[0], torch.tensor([1.02, 1.0, 0.97])
    bulge = 0.002 * torch.randn(3, 207, generator=generator)
    return BodyModel(
        replace(
            data,
            template=data.template * stretch,
            shape_dirs=data.shape_dirs @ mix,
            joint_template=data.joint_template * stretch,
            joint_dirs=data.joint_dirs @ mix,
            shape_samples=data.shape_samples @ mix,
            pose_dirs=bulge * data.skin_weights.amax(1)[:, None, None],
        )
    )


def test_smpl_looks_the_same_and_says_how_far_it_is_off(tmp_path: Path) -> None:
    someone = motion(frames=2)
    write_smpl(tmp_path / "a.smpl.npz", someone, smpl(), World.camera())
    with np.load(tmp_path / "a.smpl.npz") as file:
        arrays = {name: file[name] for name in file.files}
    assert str(arrays["body_model"]) == "SMPL"
    assert str(arrays["fitted_to"]) == "anny24"
    turns = matrix_from_axis_angle(torch.from_numpy(arrays["poses"]).unflatten(1, (24, 3)))
    betas = torch.from_numpy(arrays["betas"]).expand(2, -1)
    posed = smpl()(betas, turns, torch.from_numpy(arrays["trans"]))
    # The vertices of the made-up model are ours, one by one.
    apart = 1000 * (posed.vertices - someone.posed().vertices).norm(dim=-1).mean(1).numpy()
    assert arrays["residual_mm"].max() < 8
    np.testing.assert_allclose(arrays["residual_mm"], apart, rtol=0.3)


def test_files_of_one_person_or_a_photo_refuse_others(make_people, tmp_path: Path) -> None:
    film: list[Motion] = [motion("one"), motion("other", 1)]
    for name in ("a.bvh", "a.amass.npz"):
        with pytest.raises(InputError, match=f"{name}: expected one person, got 2"):
            write(film, tmp_path / name)
    for name, words in (("a.npz", "in a photo"), ("a.coco.json", "in a photo"), ("a.obj", "are still")):
        with pytest.raises(InputError, match=f"{name}: expected people (who )?{words}, got a film"):
            write(film[:1], tmp_path / name)
    with pytest.raises(InputError, match="SMPL's own model"):
        write(film[:1], tmp_path / "a.smpl.npz")
    assert list(tmp_path.iterdir()) == []
