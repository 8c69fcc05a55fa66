"""Whatever is passed, the outcome is something to work with or an `InputError` that names the argument."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strangers import anything, as_called, as_made

import nbf
from nbf import arguments
from nbf.errors import InputError
from nbf.export import write
from nbf.given import checked_boxes, checked_keypoints, picture_camera
from nbf.known import Known, checked_known, known_of
from nbf.limits import RANGES, checked_max_people, checked_min_score
from nbf.pictures import Picture, read_picture

# Made-up values are cast in ways that libraries warn of.
pytestmark = pytest.mark.filterwarnings("ignore")
PICTURE = Picture(np.zeros((60, 80, 3), np.uint8), "a picture")


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the text of its InputError; all else is a failure."""
    try:
        return call()
    except InputError as error:
        return str(error)


def spread(values: torch.Tensor) -> torch.Tensor:
    return values.abs().amax() if values.numel() else torch.zeros(())


@settings(max_examples=150)
@given(anything)
def test_boxes_are_boxes_in_reach(value: Any) -> None:
    boxes = outcome(lambda: checked_boxes(value, PICTURE))
    if isinstance(boxes, str):
        assert boxes.startswith("boxes: expected ")
    else:
        assert boxes.shape[1:] == (4,)
        assert ((boxes[:, 2:] - boxes[:, :2]) >= 1).all()
        assert spread(boxes) <= 800


@settings(max_examples=150)
@given(anything)
def test_keypoints_are_in_reach_where_they_count(value: Any) -> None:
    keypoints = outcome(lambda: checked_keypoints(value, PICTURE))
    if isinstance(keypoints, str):
        assert keypoints.startswith("keypoints: expected ")
    elif keypoints is None:
        assert value is None
    else:
        assert keypoints.shape[1:] == (17, 3)
        assert spread(keypoints) <= 800
        assert ((keypoints[..., 2] >= 0) & (keypoints[..., 2] <= 1)).all()


@settings(max_examples=150)
@given(anything)
def test_focal_lengths_are_those_of_lenses(value: Any) -> None:
    camera = outcome(lambda: picture_camera(PICTURE, value))
    if isinstance(camera, str):
        assert camera.startswith("focal: ")
    else:
        assert 10 < float(camera.focal) < 5000


@settings(max_examples=75)
@given(anything | st.lists(st.floats(-1000, 1000), min_size=2, max_size=2))
def test_lenses_look_where_they_see_the_picture(value: Any) -> None:
    camera = outcome(lambda: picture_camera(PICTURE, None, value))
    if isinstance(camera, str):
        assert camera.startswith("center: expected ")
    else:
        assert ((camera.center > -500.1) & (camera.center < 580.1)).all()
        assert camera.lens == "guess"


@settings(max_examples=150)
@given(anything, st.sampled_from([*RANGES, "age_group", "shape"]))
def test_what_is_known_can_be_used(value: Any, name: str) -> None:
    known = outcome(lambda: as_made(Known, **{name: value}))
    if isinstance(known, str):
        assert known.startswith(f"{name}: expected ")
        return
    if name in RANGES and (value := getattr(known, name)) is not None:
        values, (low, high, _) = torch.as_tensor(value), RANGES[name]
        assert (values.isnan() | ((values >= low) & (values <= high))).all()
    if known.shape is not None:
        torch.linalg.cholesky(known.shape[1].double())


@settings(max_examples=150)
@given(anything)
def test_pictures_are_pictures(value: Any) -> None:
    picture = outcome(lambda: read_picture(value))
    if not isinstance(picture, str):
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.flags.c_contiguous
        assert min(picture.width, picture.height) >= 16


@settings(max_examples=150)
@given(anything)
def test_limits_are_numbers(value: Any) -> None:
    most = outcome(lambda: checked_max_people(value))
    assert most is None or (most.startswith("max_people: expected ") if isinstance(most, str) else most >= 1)
    least = outcome(lambda: checked_min_score(value))
    assert least.startswith("min_score: expected ") if isinstance(least, str) else 0 < least <= 1


@settings(max_examples=150)
@given(anything)
def test_paths_are_paths(value: Any) -> None:
    path = outcome(lambda: arguments.path(value, "here"))
    assert str(path).startswith("here: expected a path") if isinstance(path, str) else path.parts or str(path) == "."


@pytest.mark.parametrize(
    ("box", "good"),
    [
        ([10, 10, 10 + 1e-40, 50], False),
        ([10, 10, 10.5, 10.5], False),
        ([-1e30, -1e30, 1e30, 1e30], False),
        ([0, 0, 1e300, 20], False),
        ([50, 10, 10, 50], False),
        (["10", "10", "30", "50"], False),
        (np.ma.masked_array([10.0, 10, 30, 50], [False, False, True, False]), False),
        ([[10, 10, np.ma.masked, 50]], False),
        ([10, 10, 30, 50, 11, 11, 31, 51], False),
        (torch.tensor([10, 10, 30, 50]).to_sparse(), False),
        (torch.tensor([10, 10, 30, 50], device="meta"), False),
        ([10, 10, 30, 50], True),
        (((10, 10, 30, 50), [0.5, 10, 30, 50]), True),
        ([torch.tensor([10, 10, 30, 50])] * 2, True),
        (torch.tensor([[10.0, 10, 30, 50]], requires_grad=True), True),
        (torch.tensor([[10.0, 10, 30, 50]]).half(), True),
        (np.array([[10, 10, 30, 50]]).view(np.matrix), True),
        (np.array([10, 10, 30, 50], ">f8"), True),
        (np.array([[50, 30, 10, 10]])[:, ::-1], True),
        ([], True),
    ],
)
def test_boxes_of_many_kinds(box: Any, good: bool) -> None:
    if not good:
        with pytest.raises(InputError, match="boxes: expected"):
            checked_boxes(box, PICTURE)
        return
    for row in checked_boxes(box, PICTURE).tolist():
        assert row[1:] == [10, 30, 50]


def keypoints(place: float = 20.0, score: float = 1.0) -> np.ndarray:
    values = np.full((1, 17, 3), place)
    values[..., 2] = score
    return values


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (keypoints(1e38), "10 pictures away, got 1e\\+38"),
        (keypoints(score=-0.1), "scores in 0..1, got -0.1"),
        (keypoints(score=2), "visibilities"),
        (np.ma.masked_array(keypoints(), True), "masked"),
        (np.broadcast_to(0.0, (10**9, 17, 3)), "at most 1000000 numbers"),
        (keypoints()[0], r"shape \(17, 3\)"),
    ],
)
def test_keypoints_that_are_none(value: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"keypoints: expected.*{words}"):
        checked_keypoints(value, PICTURE)


def test_where_the_score_is_0_nothing_is_said() -> None:
    assert (checked_keypoints(keypoints(1e38, score=0), PICTURE) == 0).all()


def test_focal_lengths_as_text_are_those_of_the_command_line() -> None:
    assert float(picture_camera(PICTURE, "28mm").focal) == pytest.approx(100 * 28 / 43.2666, rel=1e-4)
    assert float(picture_camera(PICTURE, torch.tensor(90.0)).focal) == 90
    for wrong, words in (("28 inches", "28mm, 1200px or exif"), ("exif", "no focal length"), (28 / 4, "mean 7mm")):
        with pytest.raises(InputError, match=f"focal: .*{words}"):
            picture_camera(PICTURE, wrong)
    for wrong in (
        True,
        np.bool_(True),
        1e300,
        float("nan"),
        10**400,
        "9" * 5000,
        3 + 4j,
        np.array([90.0, 90.0]),
        b"28mm",
        [90],
    ):
        with pytest.raises(InputError, match="focal: expected"):
            picture_camera(PICTURE, wrong)


@pytest.mark.parametrize("height", ["1", True, b"1", 1 + 1j, 10**400, [], [178, 180], [["1"]], np.zeros((2, 2))])
def test_heights_are_metres(height: Any) -> None:
    with pytest.raises(InputError, match="height: expected"):
        as_made(Known, height=height)


def test_heights_are_those_of_the_people() -> None:
    known = as_made(Known, height=[1.8, np.nan, 1.5])
    torch.testing.assert_close(known.heights(3), torch.tensor([1.8, np.nan, 1.5]), equal_nan=True)
    torch.testing.assert_close(known.of(slice(2, 3), 3).heights(1), torch.tensor([1.5]))
    assert checked_known(known) is known
    boxes = torch.zeros(3, 4)
    assert known_of(known, boxes, ordered=True) is known
    with pytest.raises(InputError, match="height: expected one, or one for each of 2 people, got 3"):
        known_of(known, boxes[:2], ordered=True)
    with pytest.raises(InputError, match=r"height: expected one where people are yet to be located, .*give boxes="):
        known_of(known, boxes, ordered=False)
    groups = as_made(Known, age_group=("adult", None, "child"))
    with pytest.raises(InputError, match="age_group: expected one, or one for each of 2 people, got 3"):
        known_of(groups, boxes[:2], ordered=True)
    with pytest.raises(InputError, match="age_group: expected one where people are yet to be located"):
        known_of(groups, boxes, ordered=False)


@pytest.mark.parametrize("known", [{"height": 1.8}, None, 1.8, Known, [], [Known()], [{"height": 1.8}]])
def test_what_is_known_has_its_class(known: Any) -> None:
    with pytest.raises(InputError, match=r"known: expected nbf.Known, such as .*, nbf.Facts or a list of them, got"):
        as_called(checked_known, known)


@pytest.mark.parametrize(
    "shape",
    [
        (np.zeros(3), -np.eye(3)),
        (np.zeros(3), np.zeros((3, 3))),
        (np.zeros(3), np.triu(np.ones((3, 3)))),
        (np.full(3, np.nan), np.eye(3)),
        (np.full(3, 1e9), np.eye(3)),
        (np.zeros(3), 1e30 * np.eye(3)),
        (np.zeros(2), np.eye(3)),
        (np.ma.masked_array(np.zeros(3), True), np.eye(3)),
        np.zeros((3, 3)),
        "ab",
    ],
)
def test_shapes_are_gaussians(shape: Any) -> None:
    with pytest.raises(InputError, match="shape: expected"):
        as_made(Known, shape=shape)


def test_shapes_are_those_of_the_body(small_body: Any) -> None:
    known = as_made(Known, shape=(np.zeros(3), np.eye(3)))
    with pytest.raises(InputError, match=f"shape: expected .* {small_body.shape_count} betas, got those of 3"):
        known.shapes(small_body, 2)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "64", None, float("nan")])
def test_results_are_drawn_in_whole_pixels(make_people: Any, value: Any) -> None:
    people = make_people(1)
    with pytest.raises(InputError, match="max_side: expected a whole number"):
        as_called(type(people).overlay, people, value)
    with pytest.raises(InputError, match="width: expected a whole number"):
        as_called(type(people[0].parts).labels, people[0].parts, value, 64)


@pytest.mark.parametrize("value", [0, ["smpl24"], None, np.zeros(3)])
def test_kinds_of_joints_are_names(make_people: Any, value: Any) -> None:
    person = make_people(1)[0]
    with pytest.raises(InputError, match="joint kind: expected one of smpl24"):
        as_called(type(person).joints_3d, person, value)


@pytest.mark.parametrize("value", [7, None, [], object(), "", "a\0b.npz"])
def test_files_have_paths(make_people: Any, value: Any) -> None:
    people = make_people(1)
    for call in (
        lambda: as_called(write, people.persons, value),
        lambda: as_called(nbf.load_people, value),
        lambda: as_called(nbf.load_body, value),
        lambda: as_called(nbf.read_keypoints, value, 64, 48),
    ):
        with pytest.raises(InputError, match="expected a path"):
            call()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rotations", torch.zeros(2, 24, 3)),
        ("rotations", np.zeros((2, 24, 3, 3))),
        ("rotations", torch.zeros(3, 24, 3, 3)),
        ("translation", torch.zeros(3)),
        ("translation", None),
        ("betas", [0.0]),
        ("betas", torch.zeros(())),
    ],
)
def test_bodies_are_posed_by_tensors_of_their_shapes(small_body: Any, name: str, value: Any) -> None:
    right = {"betas": torch.zeros(2, 11), "rotations": torch.zeros(2, 24, 3, 3), "translation": torch.zeros(2, 3)}
    with pytest.raises(InputError, match=name):
        as_called(type(small_body).forward, small_body, **(right | {name: value}))


def test_checking_needs_no_torch() -> None:
    code = "import sys, nbf.arguments, nbf.limits, nbf.pictures; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_values_are_shown_in_short() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert [arguments.shown(value) for value in (deep, {}, 10**5000, None, 1.5, "\ud800" + "x" * 100)] == [
        *("list", "dict", "a huge whole number", "None", "1.5"),
        "'\\ud800" + "x" * 53 + "...",
    ]
