"""BEDLAM, from files as its own tools pack them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from smpl import tiny_smpl
from spoiling import refuses_or_reads

from nbf.body.model import BodyModel, turn_about_origin
from nbf.body.smpl import read_smpl
from nbf.data.catalogue import recognised
from nbf.data.placed import in_camera
from nbf.data.sets.bedlam import SET
from nbf.errors import DataError
from nbf.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle

WIDE, TALL = (64, 36), (36, 64)


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> BodyModel:
    path = tmp_path_factory.mktemp("smpl") / "smpl.npz"
    np.savez(path, **tiny_smpl())
    return BodyModel(read_smpl(path))


def scene(body: BodyModel, size: tuple[int, int], numbers: int = 165) -> dict[str, np.ndarray]:
    """Three people in two pictures; a body of 24 joints stands in for SMPL-X, of which 22 are the same."""
    draw = np.random.default_rng(0)
    n, width, height = 3, *size
    pose = np.zeros((n, numbers))
    pose[:, :66] = draw.normal(0, 0.4, (n, 66))
    betas, trans = draw.normal(0, 1, (n, 11)), draw.normal(0, 0.3, (n, 3))
    cameras = np.tile(np.eye(4), (n, 1, 1))
    cameras[:, :3, :3] = matrix_from_axis_angle(torch.from_numpy(draw.normal(0, 2, (n, 3)))).numpy()
    cameras[:, :3, 3] = draw.normal(0, 0.2, (n, 3)) + np.array([0, 0, 6])
    lens = np.tile(np.array([[70.0, 0, width / 2], [0, 70, height / 2], [0, 0, 1]]), (n, 1, 1))
    shape = torch.from_numpy(betas).float()[:, :10]
    vectors = np.zeros((n, 24, 3))
    vectors[:, :22] = pose[:, :66].reshape(n, 22, 3)
    rotations = matrix_from_axis_angle(torch.from_numpy(vectors).float())
    turn = torch.from_numpy(cameras[:, :3, :3]).float()
    rest = body.rest_joints(shape)[:, 0]
    # As df_full_body.py has it: the body of the camera's parameters, moved by the camera's shift.
    turned, moved = turn_about_origin(turn, rest, rotations, torch.from_numpy(trans).float())
    joints = body(shape, turned, moved).joints.numpy() + cameras[:, None, :3, 3]
    pixels = joints / joints[..., 2:] @ lens[0].T
    seen = np.concatenate([pixels, draw.uniform(0, 50, (n, 100, 3))], axis=1)
    if numbers == 165:
        seen[:, 22:24] = 1e4  # SMPL-X's jaw and eyes, which are not SMPL's hands
    return {
        "imgname": np.array([f"seq_000007/seq_000007_{frame:04}.png" for frame in (0, 5, 0)]),
        "center": np.array([[20.0, 18]] * n),
        "scale": np.array([0.1] * n),
        "pose_cam": np.concatenate([axis_angle_from_matrix(turned[:, 0]).numpy(), pose[:, 3:]], axis=1),
        "pose_world": pose,
        "shape": betas,
        "trans_cam": moved.numpy(),
        "trans_world": trans,
        "gtkps": seen,
        "cam_int": lens,
        "cam_ext": cameras,
        "gender": np.array(["male"] * n),
        "sub": np.array(["rp_ann", "rp_bob", "rp_bob"]),
    }


def write(folder: Path, name: str, given: dict[str, np.ndarray]) -> Path:
    pictures = folder / "images" / name / "png" / "seq_000007"
    pictures.mkdir(parents=True)
    pixels = np.zeros((36, 64, 3), np.uint8)
    pixels[-1, 0] = 255  # lower left; upper left where the picture is turned
    for frame in (0, 5):
        Image.fromarray(pixels).save(pictures / f"seq_000007_{frame:04}.png")
    (folder / "processed_labels").mkdir(exist_ok=True)
    path = folder / "processed_labels" / f"{name}.npz"
    np.savez(path, **given)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("size", [WIDE, TALL])
@pytest.mark.parametrize("numbers", [165, 72])
def test_bodies_before_the_camera_meet_the_picture(
    tmp_path: Path, body: BodyModel, size: tuple[int, int], numbers: int
) -> None:
    write(tmp_path, "scene_a", scene(body, size, numbers))
    assert recognised(tmp_path) == [SET]
    first, second = SET.open(tmp_path, "train")
    assert [person.name for person in first.people] == ["rp_ann", "rp_bob"]
    assert second.frame is not None
    assert (second.frame.sequence, second.frame.index) == ("scene_a/seq_000007", 5)
    for picture in (first, second):
        assert picture.camera is not None
        for person in picture.people:
            assert person.body is not None
            assert person.body.gender == "neutral"
            assert person.body.model == ("smplx" if numbers == 165 else "smpl")
            _, rotations, translation = in_camera(person.body, body)
            posed = body(torch.from_numpy(person.body.betas[:10]), rotations, translation)
            assert person.joints_2d is not None
            known = person.joints_2d.weight > 0
            assert known.sum() == (22 if numbers == 165 else 24)
            projected = picture.camera.project(posed.joints.numpy())
            np.testing.assert_allclose(person.joints_2d.points[known], projected[known], atol=1e-2)
            assert person.box is not None
            assert person.box.tolist() == [10, 8, 30, 28]


def test_pictures_on_their_side_are_turned_as_the_labels_are(tmp_path: Path, body: BodyModel) -> None:
    write(tmp_path, "a_wide", scene(body, WIDE))
    write(tmp_path, "b_closeup", scene(body, TALL))
    pictures = SET.open(tmp_path, "train")
    assert len(pictures) == 4
    wide, tall = pictures[0].pixels(), pictures[2].pixels()
    assert (wide.shape, tall.shape) == ((36, 64, 3), (64, 36, 3))
    assert wide[-1, 0].all()
    assert tall[0, 0].all()


def test_bedlam2_has_openposes_joints_first(tmp_path: Path, body: BodyModel) -> None:
    given = scene(body, WIDE) | {"lh_s": np.ones(3)}
    write(tmp_path, "scene", given)
    joints = SET.open(tmp_path, "train")[0].people[0].joints_2d
    assert joints is not None
    assert joints.order == "body25"
    np.testing.assert_allclose(joints.points, given["gtkps"][0, :25, :2], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pose_world", np.zeros((3, 99))),
        ("gtkps", np.zeros((3, 20, 2))),
        ("cam_ext", np.zeros((3, 3, 4))),
        ("trans_world", np.full((3, 3), np.nan)),
        ("sub", np.zeros(3)),
    ],
)
def test_labels_of_another_kind_are_refused(tmp_path: Path, body: BodyModel, name: str, value: np.ndarray) -> None:
    path = write(tmp_path, "scene", scene(body, WIDE))
    pictures = SET.open(tmp_path, "train")
    np.savez(path, **(scene(body, WIDE) | {name: value}))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"scene\.npz"):
        list(pictures)


def test_a_spoilt_file_is_one_clean_error(tmp_path: Path, body: BodyModel) -> None:
    path = write(tmp_path, "scene", scene(body, WIDE))
    refuses_or_reads(path, lambda: list(SET.open(tmp_path, "train")))
