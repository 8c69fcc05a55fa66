"""Looking closer finds small people, each once, and costs photos of large people nothing."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from nbf import lines
from nbf.geometry import Crop
from nbf.locate import SMALL, framed
from nbf.locate import locate as line
from nbf.nets.locator import INPUT_SIZE, LocatorOutput, box_iou

CELLS = 64


class Oracle:
    """Sees white rectangles in black pictures as people, and suspects them where they are not `sure` pixels tall. What
    is less than 12 pixels tall, or narrower than 4, it does not see."""

    def __init__(self, sure: int = 40) -> None:
        self.sure, self.looks = sure, 0

    def __call__(self, images: Tensor) -> LocatorOutput:
        self.looks += len(images)
        side = images.shape[-1]
        center, box = torch.full((len(images), 1, CELLS, CELLS), -9.0), torch.zeros(len(images), 4, CELLS, CELLS)
        for row, image in enumerate(images):
            regions = np.zeros(image.shape[1:], int)
            scipy.ndimage.label(image.mean(0).numpy() > 0.5, output=regions)
            for down, across in scipy.ndimage.find_objects(regions):
                low, high = torch.tensor([across.start, down.start]), torch.tensor([across.stop, down.stop])
                longer = int((high - low).max())
                if longer < 12 or int((high - low).min()) < 4:
                    continue
                cell = ((low + high) / 2 * CELLS / side).long()
                middle = (cell + 0.5) / CELLS
                x, y = cell.tolist()
                center[row, 0, y, x] = 2.0 if longer >= self.sure else -1.5
                box[row, :, y, x] = torch.cat([middle - low / side, high / side - middle])
        return LocatorOutput(center, box)


def locate(see, picture: Tensor, *least: float) -> tuple[Tensor, Tensor]:
    """Whom somebody sees who answers every look."""
    return lines.alone(line(picture, *least), lambda look: see(look.images))


def painted(width: int, height: int, people: Tensor) -> Tensor:
    picture = torch.zeros(3, height, width)
    for x0, y0, x1, y1 in people.long().tolist():
        picture[:, y0:y1, x0:x1] = 1
    return picture


def crowd(width: int, height: int, columns: int, rows: int, seed: int = 0) -> Tensor:
    """A person in each cell of a grid, somewhere in it, a quarter to three quarters of it tall."""
    draw = torch.Generator().manual_seed(seed)
    cell = torch.tensor([width / columns, height / rows])
    corner = torch.cartesian_prod(torch.arange(columns), torch.arange(rows)) * cell
    tall = cell[1] * (0.25 + 0.5 * torch.rand(columns * rows, generator=draw))
    size = torch.stack([0.4 * tall.clamp(max=1.5 * cell[0]), tall], 1)
    low = (corner + 10 + torch.rand(len(corner), 2, generator=draw) * (cell - size - 20)).round()
    return torch.cat([low, (low + size).round()], 1)


def assert_found(boxes: Tensor, people: Tensor) -> None:
    overlap = box_iou(people, boxes)
    assert len(boxes) == len(people)
    assert overlap.amax(1).min() > 0.75
    assert overlap.argmax(1).unique().numel() == len(people)


@pytest.mark.parametrize(("width", "height"), [(200, 300), (3000, 2000)])
def test_a_large_person_costs_one_look(width: int, height: int) -> None:
    oracle, people = Oracle(), torch.tensor([[0.3 * width, 0.1 * height, 0.6 * width, 0.9 * height]])
    boxes, scores = locate(oracle, painted(width, height, people))
    assert_found(boxes, people)
    assert scores.tolist() == pytest.approx([torch.tensor(2.0).sigmoid().item()])
    assert oracle.looks == 1


@pytest.mark.parametrize(
    ("width", "height", "columns", "rows"), [(1200, 900, 4, 4), (1600, 1600, 10, 6), (3200, 800, 8, 2)]
)
def test_everybody_in_a_crowd_is_found_once(width: int, height: int, columns: int, rows: int) -> None:
    people = crowd(width, height, columns, rows)
    boxes, scores = locate(Oracle(), painted(width, height, people))
    assert_found(boxes, people)
    assert (scores.diff() <= 0).all()


def test_closer_looks_are_where_small_people_are() -> None:
    people = torch.tensor([[100.0, 100.0, 500.0, 900.0], [800.0, 80.0, 830.0, 150.0]])
    picture = painted(1000, 1000, people)
    oracle = Oracle(sure=16)
    boxes, _ = locate(oracle, picture)
    assert_found(boxes, people)
    # The large one takes one look; the small one is 18 px tall in it, 36 in the next and 72 in the one after.
    assert oracle.looks == 3
    # Beside a large person a suspicion is not enough.
    suspicious = Oracle(sure=20)
    assert_found(locate(suspicious, picture)[0], people[:1])
    assert suspicious.looks == 1


@pytest.mark.parametrize(("side", "looks"), [(500, 1), (512, 10)])
def test_an_empty_picture_is_looked_at_once_more_if_it_is_large(side: int, looks: int) -> None:
    oracle = Oracle()
    boxes, scores = locate(oracle, torch.zeros(3, side, side))
    assert (len(boxes), len(scores)) == (0, 0)
    assert oracle.looks == looks


def test_the_border_of_a_look_makes_nobody_smaller() -> None:
    """A large person beside a small one, whose closer look cuts the large one in two."""
    people = torch.tensor([[250.0, 100.0, 560.0, 900.0], [600.0, 300.0, 640.0, 400.0]])
    boxes, _ = locate(Oracle(sure=20), painted(1000, 1000, people))
    assert_found(boxes, people)


def test_what_a_closer_look_does_not_confirm_is_nobody() -> None:
    def see(images: Tensor) -> LocatorOutput:
        """Sure of a small person in the middle of the whole picture, which is half black, and of nobody else."""
        center, box = torch.full((len(images), 1, 33, 33), -9.0), torch.full((len(images), 4, 33, 33), SMALL / 3)
        center[images.mean((1, 2, 3)) < 0.6, 0, 16, 16] = 3.0
        return LocatorOutput(center, box)

    picture = torch.ones(3, 400, 200)
    boxes, _ = locate(see, picture)
    assert len(boxes) == 0
    assert len(locate(see, picture[:, :200, :100])[0]) == 1, "too few pixels for a closer look"


def test_scores_below_the_least_are_left_out() -> None:
    people = torch.tensor([[20.0, 20.0, 60.0, 60.0]])
    picture = painted(200, 200, people)
    unsure = torch.tensor(-1.5).sigmoid().item()

    def see(images: Tensor) -> LocatorOutput:
        output = Oracle()(images)
        return LocatorOutput(output.center.clamp(max=-1.5), output.box)

    assert len(locate(see, picture, unsure + 0.01)[0]) == 0
    assert_found(locate(see, picture, unsure - 0.01)[0], people)


def test_who_is_cut_off_below_gets_room_there() -> None:
    """Head and shoulders at the picture's lower edge; the others stand, end above it, or lie there."""
    cut = torch.tensor([30.0, 60, 70, 100])
    whole = torch.tensor([[30.0, 20, 60, 100], [30, 30, 70, 70], [0, 80, 60, 100]])
    crops = framed(torch.cat([cut[None], whole]), 100)
    tight = Crop.from_boxes(torch.cat([cut[None], whole]), INPUT_SIZE)
    torch.testing.assert_close(crops.center[1:3], tight.center[1:3])
    torch.testing.assert_close(crops.size[1:], tight.size[1:])
    assert float(crops.size[0]) == pytest.approx(1.2 * 1.5 * 40)
    assert crops.center[0].tolist() == pytest.approx([50, 60 + 1.5 * 40 / 2])
    # Nearly at the edge counts as well, as boxes are found to a pixel or so.
    torch.testing.assert_close(framed(cut[None] - torch.tensor([0, 0, 0, 0.5]), 100).size, crops.size[:1])
