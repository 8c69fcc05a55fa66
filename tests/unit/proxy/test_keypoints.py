"""Keypoints of OpenPose, COCO and nbf itself say the same in COCO's order, and go to the person they lie on."""

import itertools
import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbf.body.joints import COCO17
from nbf.errors import InputError
from nbf.proxy.keypoint_files import match_boxes, read_keypoints

WIDTH, HEIGHT = 640, 480
# Written out as OpenPose documents it, so that a slip in the reader shows.
BODY_25 = [
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "mid_hip",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
]
COCO_18 = [name for name in BODY_25[:19] if name != "mid_hip"]


@pytest.fixture
def points() -> torch.Tensor:
    """Two people whose keypoints are all different; the first one's left wrist is missing."""
    draw = torch.Generator().manual_seed(0)
    points = torch.rand(2, 17, 3, generator=draw) * torch.tensor([WIDTH, HEIGHT, 0.8]) + torch.tensor([0, 0, 0.1])
    points[0, COCO17.index("left_wrist")] = 0
    return points


def openpose(points: torch.Tensor, names: list[str]) -> dict[str, Any]:
    def triple(person: torch.Tensor, name: str) -> list[float]:
        # Keypoints that COCO does not have are somewhere else.
        return person[COCO17.index(name)].tolist() if name in COCO17 else [1.0, 2.0, 0.5]

    flat = [list(itertools.chain(*(triple(person, name) for name in names))) for person in points]
    return {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": values} for values in flat]}


def coco(points: torch.Tensor) -> list[dict[str, Any]]:
    return [{"image_id": 7, "category_id": 1, "keypoints": person.flatten().tolist()} for person in points]


def saved(folder, document: Any):
    path = folder / "keypoints.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_all_formats_say_the_same(points, tmp_path):
    documents = [
        openpose(points, BODY_25),
        openpose(points, COCO_18),
        coco(points),
        {"images": [{"id": 7}], "annotations": coco(points)},
    ]
    for document in documents:
        torch.testing.assert_close(read_keypoints(saved(tmp_path, document), WIDTH, HEIGHT), points)
    one = read_keypoints(saved(tmp_path, coco(points)[1]), WIDTH, HEIGHT)
    torch.testing.assert_close(one, points[1:])


def test_openpose_1_0_is_read(points, tmp_path):
    """As its releases of 2017 wrote it: another key, 18 joints, hands and faces beside them."""
    document = openpose(points, COCO_18)
    for person in document["people"]:
        person["pose_keypoints"] = person.pop("pose_keypoints_2d")
        person |= {"face_keypoints": [], "hand_left_keypoints": [], "hand_right_keypoints": []}
    path = tmp_path / "photo_keypoints.json"
    path.write_text(json.dumps(document | {"version": 1.0}))
    torch.testing.assert_close(read_keypoints(path, WIDTH, HEIGHT), points)


def test_own_files_are_read_back(make_people, tmp_path):
    people = make_people(2)
    read = read_keypoints(saved(tmp_path, people.to_json()), people.picture.width, people.picture.height)
    expected = torch.stack([person.joints_2d("coco17") for person in people])
    torch.testing.assert_close(read[..., :2], expected, atol=0.01, rtol=0)
    assert (read[..., 2] == 1).all()


def test_own_file_of_another_picture_is_refused(make_people, tmp_path):
    with pytest.raises(InputError, match="in a picture of 97 x 128, got 96 x 128"):
        read_keypoints(saved(tmp_path, make_people(1).to_json()), 97, 128)


def test_nobody_is_an_empty_tensor(tmp_path, make_people):
    for document in ({"people": []}, [], {"annotations": []}, make_people(0).to_json()):
        assert read_keypoints(saved(tmp_path, document), 96, 128).shape == (0, 17, 3)


def test_people_without_keypoints_are_left_out_and_missing_ones_are_zero(points, tmp_path):
    points[0, :, 2] = 0
    points[1, 3, 2] = 0
    read = read_keypoints(saved(tmp_path, coco(points)), WIDTH, HEIGHT)
    assert read.shape == (1, 17, 3)
    assert (read[0, 3] == 0).all()
    torch.testing.assert_close(read[0, 4], points[1, 4])


def test_visibilities_are_scores(points, tmp_path):
    points[..., 2] = torch.arange(34).reshape(2, 17) % 3
    read = read_keypoints(saved(tmp_path, {"annotations": coco(points)}), WIDTH, HEIGHT)
    torch.testing.assert_close(read[..., 2], points[..., 2].clamp(max=1))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("words", "cannot be read as JSON"),
        ("7", "JSON of another kind"),
        ({"boxes": []}, "JSON of another kind"),
        ([[1, 2, 3]], "JSON of another kind"),
        ({"people": [7]}, "x, y, score for each keypoint, got None"),
        ({"people": [{"pose_keypoints_2d": [1.0] * 45}]}, "25 .* or 18 .* keypoints, got 15"),
        ({"people": [{"pose_keypoints_2d": [1.0] * 74}]}, "expected a list of x, y, score"),
        ({"people": [{"joints": {}}], "width": WIDTH, "height": HEIGHT}, "x, y for each keypoint"),
        (
            {"people": [{"joints": {"coco17": {"2d": [[1, 2]]}}}], "width": WIDTH, "height": HEIGHT},
            "17 points .* got 1",
        ),
        ([{"keypoints": [1.0] * 399}], "17 keypoints a person, got 133"),
        ([{"keypoints": ["x"] * 51}], "expected a list of x, y, score"),
        ([{"keypoints": [float("nan")] * 51}], "nan or infinity"),
        ([{"keypoints": [3.0] * 51, "image_id": i} for i in range(3)], "of one picture, got those of 3"),
        ([{"keypoints": [0.5] * 51}], "expected pixels.*640 and 480.*keypoint_scale 0"),
        ([{"keypoints": [2000.0, 1.0, 1.0] * 17}], "640 x 480.*outside.*full size"),
    ],
)
def test_other_files_say_what_was_expected(tmp_path, document, words):
    path = saved(tmp_path, document)
    with pytest.raises(InputError, match=words) as caught:
        read_keypoints(path, WIDTH, HEIGHT)
    assert str(caught.value).startswith(str(path))


def test_missing_and_binary_files_say_so(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_keypoints(tmp_path / "gone.json", WIDTH, HEIGHT)
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_keypoints(tmp_path, WIDTH, HEIGHT)
    (tmp_path / "a.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_keypoints(tmp_path / "a.json", WIDTH, HEIGHT)


@given(st.permutations(range(5)), st.permutations(range(5)), st.integers(1, 5))
def test_everybody_gets_their_own_in_any_order(order, boxes_order, found):
    people = torch.rand(5, 17, 3, generator=torch.Generator().manual_seed(1)) * 90 + 5
    people[..., 0] += 60 * torch.arange(5)[:, None]
    boxes = torch.stack([torch.tensor([60.0 * i, 0.0, 60.0 * i + 100, 100.0]) for i in range(5)])
    located = boxes_order[:found]
    matches = match_boxes(people[list(order)], boxes[located])
    assert len(matches) == 5
    taken = [match for match in matches if match is not None]
    assert sorted(taken) == list(range(found))
    assert all(located[match] == order[i] for i, match in enumerate(matches) if match is not None)


def test_one_corrected_wrist_finds_its_person():
    points = torch.zeros(1, 17, 3)
    points[0, 9] = torch.tensor([30.0, 40.0, 1.0])
    boxes = torch.tensor([[100.0, 0.0, 200.0, 100.0], [0.0, 0.0, 90.0, 100.0]])
    assert match_boxes(points, boxes) == [1]


def test_a_child_before_an_adult_keeps_its_own():
    fill = torch.rand(2, 17, 2, generator=torch.Generator().manual_seed(2))
    child, adult = torch.tensor([40.0, 60.0, 70.0, 100.0]), torch.tensor([0.0, 0.0, 100.0, 100.0])
    boxes = torch.stack([adult, child])
    points = torch.stack([fill[i] * (box[2:] - box[:2]) + box[:2] for i, box in enumerate((child, adult))])
    assert match_boxes(torch.cat([points, torch.ones(2, 17, 1)], -1), boxes) == [1, 0]


def test_keypoints_beside_everybody_go_to_nobody():
    points = torch.full((1, 17, 3), 50.0)
    assert match_boxes(points, torch.tensor([[60.0, 0.0, 90.0, 90.0]])) == [None]
    assert match_boxes(torch.zeros(1, 17, 3), torch.tensor([[0.0, 0.0, 90.0, 90.0]])) == [None]
    assert match_boxes(points, torch.zeros(0, 4)) == [None]
    assert match_boxes(torch.zeros(0, 17, 3), torch.zeros(3, 4)) == []
