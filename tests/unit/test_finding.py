"""Who is in a picture: two people who hide each other are two, whoever both crops show."""

from collections.abc import Callable

import pytest
import torch
from located import locates
from torch import Tensor
from torch.nn.functional import avg_pool2d

from nbf import finding, lines
from nbf.finding import Candidates
from nbf.geometry import Camera, Crop
from nbf.proxy.proxy import Crops, Proxy, seen_joints

LEFT, RIGHT, FLOOR = 200, 120, 30
SPREAD = torch.randn(17, 2, generator=torch.Generator().manual_seed(0))


def picture(*people: tuple[int, int, int]) -> Tensor:
    """People as blocks of one shade, each from a column to a column, later ones in front."""
    image = torch.full((3, 100, 100), FLOOR, dtype=torch.uint8)
    for shade, start, end in people:
        image[:, 20:80, start:end] = shade
    return image


def see(crops: Crops) -> Proxy:
    """As a segmenter that sees in each crop only whoever fills most of it."""
    parts, joints = torch.zeros(len(crops), 25, 64, 64), torch.zeros(len(crops), 17, 3)
    for row, window in enumerate(avg_pool2d(crops.image, 4)[:, 0] * 255):
        masks = {shade: (window - shade).abs() < 20 for shade in (LEFT, RIGHT)}
        shade = max(masks, key=lambda each: int(masks[each].sum()))
        if (seen := masks[shade]).sum() > 200:
            cells = seen.nonzero().flip(1).float() / 64
            parts[row, 1] = seen.float()
            joints[row, :, :2], joints[row, :, 2] = cells.mean(0) + 0.1 * SPREAD, 0.9
    parts[:, 0] = 1 - parts[:, 1]
    return Proxy(crops.camera, parts=parts, joints=joints)


CAMERA = Camera(torch.tensor(100.0), torch.tensor([50.0, 50.0]))


def find(
    locate: Callable[[Tensor, float], tuple[Tensor, Tensor]], see: Callable[[Crops], Proxy], image: Tensor, least: float
) -> Candidates:
    """Whom a locator and a segmenter find."""
    with pytest.MonkeyPatch.context() as patch:
        locates(patch, locate)
        return lines.alone(finding.find(image, CAMERA, least), lambda question: see(question.crops))


def located(*boxes: tuple[float, float, float, float]):
    """A locator that gives always the same boxes, the first the surest."""
    return lambda image, min_score: (torch.tensor(boxes), torch.linspace(0.5, 0.4, len(boxes)))


BOTH = picture((RIGHT, 45, 65), (LEFT, 20, 50))
AROUND_LEFT, AROUND_RIGHT = (20.0, 20.0, 50.0, 80.0), (40.0, 20.0, 66.0, 80.0)


def test_who_is_read_as_a_surer_neighbour_is_found_once_that_is_painted_over() -> None:
    found = find(located(AROUND_LEFT, AROUND_RIGHT), see, BOTH, 0.3)
    assert len(found) == 2
    middle = found.keypoints[:, :, 0].mean(1).sort().values
    assert middle[0] < 45 < 50 < middle[1]


def test_of_two_in_one_box_the_other_is_found_too() -> None:
    both, rest, nobody = (20.0, 20.0, 66.0, 80.0), (50.0, 20.0, 66.0, 80.0), (90.0, 84.0, 98.0, 96.0)

    def locate(image: Tensor, min_score: float) -> tuple[Tensor, Tensor]:
        return located(both if (image == LEFT).any() else rest, nobody)(image, min_score)

    assert find(locate, see, BOTH, 0.3).boxes.tolist() == [list(both), list(rest)]
    assert len(find(located(both), see, BOTH, 0.3)) == 1, "one candidate is looked at once"


def test_nobody_is_found_again_in_their_own_box() -> None:
    """What paint leaves of somebody is nobody new."""

    def half(crops: Crops) -> Proxy:
        seen = see(crops)
        assert seen.parts is not None
        if ((255 * crops.image - LEFT).abs() < 2).any():
            seen.parts[:, 1, 32:] = 0
        seen.parts[:, 0] = 1 - seen.parts[:, 1]
        return seen

    alone = picture((LEFT, 30, 60))
    boxes = (30.0, 20.0, 60.0, 80.0), (28.0, 20.0, 64.0, 80.0)
    assert len(find(located(*boxes), half, alone, 0.3)) == 1


def test_order_of_candidates_does_not_matter() -> None:
    locate = located(AROUND_LEFT, AROUND_RIGHT)

    def backwards(image: Tensor, min_score: float) -> tuple[Tensor, Tensor]:
        boxes, scores = locate(image, min_score)
        return boxes.flip(0), scores.flip(0)

    one, other = find(locate, see, BOTH, 0.3), find(backwards, see, BOTH, 0.3)
    assert torch.equal(one.boxes, other.boxes)
    assert torch.equal(one.keypoints, other.keypoints)


def test_one_person_is_one_and_as_first_seen() -> None:
    alone = picture((LEFT, 30, 60))
    boxes = (30.0, 20.0, 60.0, 80.0), (28.0, 20.0, 64.0, 80.0)
    found = find(located(*boxes), see, alone, 0.3)
    assert found.boxes.tolist() == [list(boxes[0])]
    first = see(Crops.of(alone, CAMERA, Crop.from_boxes(torch.tensor(boxes[:1]), 256)))
    assert first.parts is not None
    assert torch.equal(found.parts, first.parts)
    assert torch.equal(seen_joints(found.seen), seen_joints(first))


def test_nobody_is_nobody() -> None:
    assert len(find(located(AROUND_LEFT), see, picture(), 0.3)) == 0
    nobody = torch.zeros(0, 4), torch.zeros(0)
    assert len(find(lambda image, min_score: nobody, see, BOTH, 0.3)) == 0
