"""What is said and drawn of a data set: counts, label maps, joints in space and bodies through the camera."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nbf.body.model import BodyModel
from nbf.data.check import LABELS, LOOKED, Counts, count, spread, state
from nbf.data.joint_orders import ORDERS
from nbf.data.labelled import (
    IGNORE,
    BodyLabel,
    JointLabels,
    LabelledPerson,
    LabelledPicture,
    LabelMap,
    Lazy,
    LensCamera,
)
from nbf.data.manifest import read_manifest
from nbf.data.sheet import camera_vertices, row, sheet
from nbf.errors import DataError
from nbf.geometry import matrix_from_axis_angle

SIZE = 360  # as on the sheet: pixels of both are the same
CAMERA = LensCamera(np.array([500.0, 500.0]), np.array([180.0, 180.0]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "black.png")
    return tmp_path / "black.png"


def no_model(label: BodyLabel) -> None:
    return None


def unchecked(function: Callable[..., Counts]) -> Callable[..., Counts]:
    """Without the tests' check of types, which takes an item of a sequence at random."""
    return getattr(function, "__wrapped__", function)


def body_label(model: BodyModel) -> BodyLabel:
    """A bent body, turned in its world and seen from a camera beside it."""
    draw = torch.Generator().manual_seed(0)
    pose = (torch.randn(24, 3, generator=draw) * 0.3).numpy()
    turn = matrix_from_axis_angle(torch.tensor([[3.0, 0.2, 0.1]]))[0].double().numpy()
    matrix = np.concatenate([turn, [[0.1], [0.0], [3.0]]], axis=1)
    betas = torch.randn(model.shape_count, generator=draw).numpy()
    return BodyLabel("anny24", "neutral", betas, pose, np.array([0.3, 0.2, 0.1], np.float32), matrix)


def test_people_are_counted_by_what_is_known_of_them(path: Path) -> None:
    known = JointLabels("lsp14", np.ones((14, 2)), np.ones(14))
    nothing = JointLabels("lsp14", np.ones((14, 2)), np.zeros(14))
    box = np.array([0.0, 0, 9, 9], np.float32)
    mask = LabelMap("mask", lambda: np.zeros((SIZE, SIZE), np.uint8))
    pictures = [
        LabelledPicture("a", path, (LabelledPerson(box, known), LabelledPerson(box, ignore=True)), maps=(mask,)),
        LabelledPicture("b", path, (LabelledPerson(joints_2d=nothing), LabelledPerson(joints_2d=known)), camera=CAMERA),
    ]
    counts = count(pictures)
    assert (counts.pictures, counts.looked, counts.people, counts.ignored) == (2, 2, 3, 1)
    assert counts.labels == {"boxes": 1, "2D joints": 2, "masks": 1, "cameras": 1}
    assert set(counts.labels) <= set(LABELS)


def test_a_picture_without_labels_stops_no_count(path: Path) -> None:
    def make(index: int) -> LabelledPicture:
        if index == 3:
            raise KeyError("joints")
        if index == 5:
            raise DataError("frame 5: cut off")
        return LabelledPicture(str(index), path, ())

    counts = unchecked(count)(Lazy(10, make))
    assert counts.pictures == 10
    assert counts.failed == {"picture 3": "KeyError: 'joints'", "picture 5": "frame 5: cut off"}


def test_of_many_pictures_some_are_looked_at() -> None:
    asked = []

    def make(index: int) -> LabelledPicture:
        asked.append(index)
        return LabelledPicture(str(index), Path(), (LabelledPerson(),))

    counts = unchecked(count)(Lazy(10**9, make))
    assert counts.looked == counts.people == LOOKED == len(asked)
    assert asked[0] < 10**6
    assert asked[-1] > 10**9 - 10**6


@pytest.mark.parametrize(("number", "most"), [(0, 10), (3, 10), (10, 10), (11, 10), (999, 10)])
def test_spread_is_even(number: int, most: int) -> None:
    rows = spread(number, most)
    assert len(rows) == len(set(rows)) == min(number, most)
    assert all(0 <= each < number for each in rows)
    steps = np.diff(rows)
    assert len(steps) == 0 or steps.max() - steps.min() <= 1


def test_joints_in_space_are_drawn_where_the_camera_sees_them(path: Path) -> None:
    points = np.zeros((14, 3))
    points[5], points[4], points[0] = [0.4, 0.2, 2.0], [0.4, 0.6, 2.0], [0.1, 0.1, -1.0]
    weight = np.zeros(14)
    weight[[0, 4, 5]] = 1
    joints = JointLabels("lsp14", points, weight)
    person = LabelledPerson(joints_3d=joints)
    (drawn,) = row(LabelledPicture("a", path, (person,), camera=CAMERA), no_model).panels
    ink = np.asarray(drawn).max(2) > 0
    # 0.4 m right and 0.2 m down at 2 m: 100 and 50 px from the middle.
    assert ink[180 + 50, 180 + 100]
    assert ink[180 + 100, 180 + 100], "the bone between knee and ankle"
    ink[220:340, 270:290] = False
    assert not ink.any(), "what is behind the camera is not drawn"
    hidden = LabelledPerson(joints_3d=joints, relative=True)
    (drawn,) = row(LabelledPicture("a", path, (hidden,), camera=CAMERA), no_model).panels
    assert not np.asarray(drawn).any()


def test_a_labelled_body_covers_its_joints(path: Path, small_body: BodyModel) -> None:
    """The mesh through the camera lies on the joints that the model gives, brought to the camera by hand."""
    label = body_label(small_body)
    pose = matrix_from_axis_angle(torch.from_numpy(label.pose))
    output = small_body(torch.from_numpy(label.betas)[None], pose[None], torch.from_numpy(label.translation)[None])
    matrix = torch.from_numpy(label.camera_from_world).float()
    joints = (matrix[:, :3] @ output.joints[0].T).T + matrix[:, 3]
    torch.testing.assert_close(
        camera_vertices(small_body, label), (matrix[:, :3] @ output.vertices[0].T).T + matrix[:, 3]
    )
    labels = JointLabels("smpl24", joints.double().numpy(), np.ones(24))
    person = LabelledPerson(joints_3d=labels, body=label)
    panels = row(LabelledPicture("a", path, (person,), camera=CAMERA), lambda label: small_body).panels
    assert len(panels) == 2
    mesh = np.asarray(panels[1]).max(2) > 0
    places = CAMERA.project(joints.double().numpy()).astype(int)
    inside = ((places >= 0) & (places < SIZE)).all(1)
    assert inside.sum() >= 20
    assert np.mean([mesh[y, x] for x, y in places[inside]]) > 0.9
    assert len(row(LabelledPicture("a", path, (person,), camera=CAMERA), no_model).panels) == 1


def test_a_body_of_another_model_is_refused(small_body: BodyModel) -> None:
    label = body_label(small_body)
    more = BodyLabel("smpl", "male", np.zeros(300, np.float32), label.pose, label.translation)
    with pytest.raises(DataError, match="300 shape components"):
        camera_vertices(small_body, more)


def test_maps_that_do_not_fit_are_refused(path: Path) -> None:
    wrong = LabelMap("parts24", lambda: np.zeros((5, 5), np.uint8))
    with pytest.raises(DataError, match="parts24"):
        row(LabelledPicture("a", path, (), maps=(wrong,)), no_model)


def test_a_sheet_has_room_for_all(path: Path) -> None:
    labels = np.full((SIZE, SIZE), IGNORE, np.uint8)
    mapped = row(LabelledPicture("a" * 150, path, (), "train", maps=(LabelMap("parts24", lambda: labels),)), no_model)
    plain = row(LabelledPicture("b", path, (LabelledPerson(),), "val"), no_model)
    assert plain.caption == "b, val: 1 person"
    drawn = sheet([mapped, mapped, plain], "three")
    assert drawn.width > 4 * SIZE
    assert drawn.height > 2 * SIZE
    assert sheet([], "none").height > 0


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_can_be_drawn(path: Path, order: str) -> None:
    names = ORDERS[order]
    joints = JointLabels(order, np.random.default_rng(0).uniform(50, 300, (len(names), 2)), np.ones(len(names)))
    (drawn,) = row(LabelledPicture("a", path, (LabelledPerson(joints_2d=joints),)), no_model).panels
    assert np.asarray(drawn).any()


def test_a_set_is_whole_if_every_file_is(tmp_path: Path) -> None:
    made = read_manifest()["mocap"]
    assert state(made, tmp_path).there == 0
    (tmp_path / "poses").mkdir()
    (tmp_path / "poses" / "mocap_joints.npz").write_bytes(b"another")
    assert (state(made, tmp_path).there, state(made, tmp_path).whole) == (1, False)
    garments = read_manifest()["makehuman"]
    assert (state(garments, tmp_path).there, state(garments, tmp_path).whole) == (0, False)
