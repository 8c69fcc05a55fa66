"""UP-3D, from files that are written in its layout: what is labelled in the photo is where the fit's camera puts it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from damage import survives
from numpy import ndarray
from PIL import Image
from scipy.spatial.transform import Rotation
from smpl import python2_pickle

from nbf.body.joints import LSP14, PARENTS, SMPL24
from nbf.body.model import pose_joints
from nbf.data.catalogue import recognised
from nbf.data.labelled import BodyLabel, LensCamera
from nbf.data.sets.up3d import UP3D, UP6, UP31
from nbf.errors import DataError
from nbf.geometry.rotations import matrix_from_axis_angle

SIZE = (60, 80)
"""Height and width of the photo."""
FITTED = (100, 127)
PART = (8, 58, 4, 67)
"""y0, y1, x0, x1 of the fitted picture in the photo."""
RESIZED = (100 / 50 + 127 / 63) / 2
"""The mean of both factors, as the authors take it (classner/up, direct3d/tools/create_dataset.py)."""
# Joints of the T-pose, metres: any tree will do.
REST = np.zeros((24, 3))
for _joint, _parent in enumerate(PARENTS):
    REST[_joint] = (REST[_parent] if _parent >= 0 else 0) + np.random.default_rng(_joint).normal(0, 0.12, 3)
LIMBS = [SMPL24.index(name) for name in LSP14[:12]]


def body(seed: int) -> dict[str, object]:
    random = np.random.default_rng(seed)
    return {
        "pose": np.concatenate([[np.pi, 0, 0], random.normal(0, 0.3, 69)]),
        "betas": random.normal(0, 1, 10),
        "trans": random.normal(0, 0.1, 3),
        "rt": random.normal(0, 0.2, 3),
        "t": np.array([0.1, -0.2, 20.0]),
        "f": 5000.0,
        "j2d": random.normal(0, 1, (14, 2)),
    }


def smpl_joints(pose: ndarray, trans: ndarray) -> ndarray:
    """SMPL's joints in the world of the fit, by its formula."""
    turns = Rotation.from_rotvec(pose.reshape(24, 3)).as_matrix()
    world, places = [turns[0]], [REST[0]]
    for joint in range(1, 24):
        parent = PARENTS[joint]
        world.append(world[parent] @ turns[joint])
        places.append(places[parent] + world[parent] @ (REST[joint] - REST[parent]))
    return np.array(places) + trans


def in_photo(table: dict) -> ndarray:
    """Where the fit's camera puts the joints in its own picture, and then in the photo."""
    seen = smpl_joints(table["pose"], table["trans"]) @ Rotation.from_rotvec(table["rt"]).as_matrix().T + table["t"]
    fitted = seen[:, :2] / seen[:, 2:] * table["f"] + np.array(FITTED[::-1]) / 2
    return fitted / RESIZED + [PART[2], PART[0]]


def write(folder: Path, name: str, seed: int, protocol: int = 2) -> None:
    table = body(seed)
    joints = np.ones((3, 14))
    joints[:2, :12] = in_photo(table)[LIMBS].T
    joints[:, 13] = 0
    np.save(folder / f"{name}_joints.npy", joints)
    (folder / f"{name}_body.pkl").write_bytes(python2_pickle(table, protocol))
    (folder / f"{name}_fit_crop_info.txt").write_text(" ".join(map(str, [*FITTED, *PART])) + "\n")
    Image.new("RGB", (SIZE[1], SIZE[0]), (seed, 0, 0)).save(folder / f"{name}_image.png")
    drawn = np.full((*SIZE, 3), 255, np.uint8)
    for label, colour in enumerate(UP31.values()):
        drawn[20 + label, 10:30] = colour
    drawn[25, 30:40] = 191, 175, 95  # the part that has no colour of its own
    Image.fromarray(drawn).save(folder / f"{name}_render_light.png")
    drawn[22] = np.clip(drawn[22].astype(int) - 1, 0, 255)  # renderings are inexact
    Image.fromarray(drawn).save(folder / f"{name}_render.png")


@pytest.fixture
def up3d(tmp_path: Path) -> Path:
    for seed, name in enumerate(("00000", "00017", "01129")):
        write(tmp_path, name, seed)
    (tmp_path / "train.txt").write_text("/00000_image.png\n/00017_image.png\n")
    (tmp_path / "test.txt").write_text("/01129_image.png\n")
    (tmp_path / "namesUPlsp.txt").write_text("/01129_image.png\n\n")
    return tmp_path


def projected(label: BodyLabel, camera: LensCamera) -> ndarray:
    """Joints of a labelled body in pixels, all by the project's own conventions."""
    turns = matrix_from_axis_angle(torch.from_numpy(label.pose).double())
    _, joints = pose_joints(torch.from_numpy(REST), turns, torch.from_numpy(label.translation).double())
    seen = joints.numpy() @ label.camera_from_world[:, :3].T + label.camera_from_world[:, 3]
    return camera.project(seen)


def test_the_labelled_body_is_at_the_labelled_joints(up3d: Path) -> None:
    for picture in UP3D.open(up3d, "train"):
        (person,) = picture.people
        assert person.body is not None
        assert person.joints_2d is not None
        assert picture.camera is not None
        assert (person.body.model, person.body.gender) == ("smpl", "neutral")
        pixels = projected(person.body, picture.camera)
        np.testing.assert_allclose(pixels[LIMBS], person.joints_2d.points[:12], atol=1e-3)
        assert person.joints_2d.weight.tolist() == [1.0] * 13 + [0.0]
        assert picture.camera.focal.tolist() == pytest.approx([5000 / RESIZED] * 2)
        assert not picture.complete


def test_splits_follow_the_lists(up3d: Path) -> None:
    assert [picture.name for picture in UP3D.open(up3d, "train")] == ["00000", "00017"]
    assert [picture.name for picture in UP3D.open(up3d, "lsp")] == ["01129"]
    assert UP3D.open(up3d, "train")[1].pixels()[0, 0, 0] == 1
    with pytest.raises(DataError, match=r"val\.txt"):
        UP3D.open(up3d, "val")


def test_parts_are_told_by_their_colours(up3d: Path) -> None:
    picture = UP3D.open(up3d, "test")[0]
    parts = picture.labels("up31")
    assert parts[20:52, 10].tolist() == [*range(32)]
    assert parts[25, 35] == list(UP31).index("right_lower_body")
    assert parts[:10].max() == 0
    six = picture.labels("up6")[20:52, 10]
    named = {part: UP6[label] for part, label in zip(UP31, six)}
    assert len(set(named.values())) == 7
    for part, region in {
        **{"neck": "torso", "left_shoulder": "torso", "right_lower_head": "head", "background": "background"},
        **{"left_foot": "left_leg", "right_wrist": "right_arm", "left_upper_body": "torso", "right_knee": "right_leg"},
    }.items():
        assert named[part] == region


def test_six_regions_are_as_large_as_the_authors(up3d: Path) -> None:
    """classner/up, up_tools/model.py: 4 parts of the head, 7 of the torso, 5 of each limb."""
    six = UP3D.open(up3d, "test")[0].labels("up6")[20:52, 10]
    assert np.bincount(six).tolist() == [1, 4, 7, 5, 5, 5, 5]


def test_boxes_are_around_what_is_drawn(up3d: Path) -> None:
    (person,) = UP3D.open(up3d, "test")[0].people
    assert person.box is not None
    # The row of label 0 is white.
    assert person.box.tolist() == [10, 21, 40, 52]


def test_without_renderings_there_are_no_parts_and_boxes(up3d: Path) -> None:
    for file in up3d.glob("*_render*.png"):
        file.unlink()
    picture = UP3D.open(up3d, "test")[0]
    assert (picture.maps, picture.people[0].box) == ((), None)


def test_a_shaded_rendering_is_no_part_map(up3d: Path) -> None:
    picture = UP3D.open(up3d, "test")[0]
    Image.new("RGB", (SIZE[1], SIZE[0]), (120, 120, 200)).save(up3d / "01129_render.png")
    with pytest.raises(DataError, match="colours of parts"):
        picture.labels("up31")


def test_the_folder_is_recognised(up3d: Path) -> None:
    assert recognised(up3d) == [UP3D]


@pytest.mark.parametrize(
    ("ending", "text"),
    [("fit_crop_info.txt", "100 126 8 8 4 67"), ("fit_crop_info.txt", "100 126 8 58 4"), ("fit_crop_info.txt", "a b")],
)
def test_wrong_numbers_are_refused(up3d: Path, ending: str, text: str) -> None:
    (up3d / f"01129_{ending}").write_text(text)
    with pytest.raises(DataError, match=ending):
        UP3D.open(up3d, "test")[0]


@pytest.mark.parametrize(
    "change",
    [
        {"pose": np.zeros(71)},
        {"f": -1.0},
        {"t": [0, "a", 1]},
        {"rt": None},
        {"betas": np.full(10, np.nan)},
        {"trans": {}},
    ],
)
def test_wrong_bodies_are_refused(up3d: Path, change: dict) -> None:
    (up3d / "01129_body.pkl").write_bytes(python2_pickle(body(2) | change, 2))
    with pytest.raises(DataError, match="01129_"):
        UP3D.open(up3d, "test")[0]


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_all_that_python_2_wrote_is_read(up3d: Path, protocol: int) -> None:
    write(up3d, "01129", 5, protocol)
    label = UP3D.open(up3d, "test")[0].people[0].body
    assert label is not None
    np.testing.assert_array_equal(label.betas, np.asarray(body(5)["betas"], np.float32))


def test_nothing_but_data_errors_come_of_damage(up3d: Path) -> None:
    files = [up3d / "test.txt", *up3d.glob("01129_*")]
    assert survives(UP3D, up3d, "test", files, 12) > 40
