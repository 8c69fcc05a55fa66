"""A second look at people who lean: turned upright, moved back, and believed where it is the surer one."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from nbf.body.joints import COCO17
from nbf.body.parts import PARTS24
from nbf.geometry import CropMove
from nbf.nets.mirror import mirror_keypoints, mirror_parts, mirror_surface, segment_both_ways
from nbf.nets.segmenter import SegmenterOutput
from nbf.proxy.segmented import FRAME, leaning, look, upright

HIPS = [COCO17.index("left_hip"), COCO17.index("right_hip")]


class Painted:
    """Sees what is painted: hips in green, all other keypoints in red, a torso all around, with the colours as its
    surface; how surely depends on whether red is above green."""

    def __init__(self, upright: float, lying: float) -> None:
        self.upright, self.lying = upright, lying
        self.seen: list[int] = []

    def __call__(self, image: Tensor) -> SegmenterOutput:
        self.seen.append(len(image))
        paint = avg_pool2d(image, 4)
        rows = torch.arange(64.0)
        red, green = ((paint[:, c].sum(2) * rows).sum(1) / paint[:, c].sum((1, 2)).clamp(min=1e-6) for c in (0, 1))
        stands = (green - red > 8)[:, None, None, None]
        heat = paint[:, :1].repeat(1, 17, 1, 1)
        heat[:, HIPS] = paint[:, 1:2]
        sharp = torch.where(stands, self.upright, self.lying)
        person = paint[:, 2:] > 0.5
        parts = torch.cat([torch.where(person, -9.0, 9.0), *24 * [torch.full_like(paint[:, :1], -12.0)]], 1)
        parts[:, 13:14] = torch.where(person, 9.0, -9.0)
        return SegmenterOutput(parts, sharp * heat, paint[:, [0, 1, 2]])


class Sided(Painted):
    """Sees left keypoints and left parts a little further right in the picture than right ones, and some more clearly
    than others: its answers for mirrored pictures are no mirrored answers."""

    def __call__(self, image: Tensor) -> SegmenterOutput:
        output = super().__call__(image)
        parts = torch.cat([output.parts[:, :1], output.parts[:, 13:14].repeat(1, 24, 1, 1)], 1)
        return SegmenterOutput(self.apart(parts, PARTS24), self.apart(output.keypoints, COCO17), output.surface)

    @staticmethod
    def apart(maps: Tensor, names: Sequence[str]) -> Tensor:
        steps = [3 * (name.startswith("left") - name.startswith("right")) for name in names]
        clarity = torch.linspace(0.8, 1.2, len(names))[:, None, None]
        return clarity * torch.stack([one.roll(step, -1) for one, step in zip(maps.unbind(1), steps)], 1)


def person(angle: float) -> Tensor:
    """Somebody whose trunk leans by an angle, painted."""
    middle = (torch.arange(256) + 0.5) / 128 - 1
    move = CropMove(torch.tensor([angle]), torch.ones(1), torch.zeros(1, 2))
    top, bottom = move.points(torch.tensor([[[0.0, -0.35], [0.0, 0.2]]]))[0].tolist()
    dots = [torch.exp(-((middle - x) ** 2 + (middle[:, None] - y) ** 2) / 0.005) for x, y in (top, bottom)]
    along = move.inverse().points(torch.stack(torch.meshgrid(middle, middle, indexing="xy"), -1).view(1, -1, 2))
    inside = (along[..., 0].abs() < 0.2) & (along[..., 1].abs() < 0.6)
    return torch.stack([*dots, inside.view(256, 256).float()])[None]


@pytest.mark.parametrize("degrees", [0, 20, -35, 60, -100, 170])
def test_who_leans_far_is_looked_at_again(degrees: float) -> None:
    eye = Painted(upright=20.0, lying=15.0)
    first = segment_both_ways(eye, person(math.radians(degrees)))
    assert math.degrees(leaning(first).item()) == pytest.approx(degrees, abs=3)
    eye.seen.clear()
    proxy = look(eye, person(math.radians(degrees)))
    assert eye.seen == ([2, 2] if abs(degrees) > 40 else [2])
    # Both looks see the same in the same places.
    torch.testing.assert_close(proxy.keypoints[..., :2], first.keypoints[..., :2], atol=0.03, rtol=0.0)
    assert (proxy.parts - first.parts).abs().mean() < 0.01
    assert (proxy.surface - first.surface)[:, 2].abs().mean() < 0.02
    torch.testing.assert_close(proxy.parts.sum(1), torch.ones(1, 64, 64))
    if abs(degrees) > 60:
        assert proxy.keypoints[..., 2].mean() > first.keypoints[..., 2].mean()


def test_the_surer_look_is_believed() -> None:
    lying = person(math.pi / 2)
    for eye, believed in ((Painted(20.0, 15.0), 1), (Painted(15.0, 20.0), 0)):
        first, proxy = segment_both_ways(eye, lying), look(eye, lying)
        assert torch.equal(proxy.keypoints, first.keypoints) is (believed == 0)
        assert torch.equal(proxy.parts, first.parts) is (believed == 0)
        assert torch.equal(proxy.surface, first.surface) is (believed == 0)


def test_the_second_look_is_upright_and_close() -> None:
    first = segment_both_ways(Painted(20.0, 15.0), person(math.radians(-100)))
    move = upright(first)
    turned = move.points(first.keypoints)
    across, down = (turned[:, 5] - turned[:, HIPS[0]])[0, :2].tolist()
    assert abs(across) < 0.03
    assert down < -0.5
    cells = (torch.arange(64) + 0.5) / 32 - 1
    shown = (move.picture(1 - first.parts[:, :1])[0, 0] > 0.5).any(1)
    assert (cells[shown].max() - cells[shown].min()).item() == pytest.approx(2 / FRAME, abs=0.08)


def test_each_person_is_looked_at_alone() -> None:
    """People of one batch do not change each other's looks, and mirrored pictures give mirrored answers.

    Their keypoints have clear peaks: of an untrained network's flat heat maps the last bits choose the highest cell.
    """
    eye = Sided(upright=20.0, lying=15.0)
    image = torch.cat([person(math.radians(degrees)) for degrees in (60, 0, -100)])
    together, mirrored = look(eye, image), look(eye, image.flip(-1))
    assert eye.seen == 2 * [6, 4]
    for row in range(3):
        for one, all_ in zip(look(eye, image[row : row + 1]), together):
            torch.testing.assert_close(one[0], all_[row], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mirrored.parts, mirror_parts(together.parts), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mirrored.keypoints, mirror_keypoints(together.keypoints), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(mirrored.surface, mirror_surface(together.surface), atol=1e-4, rtol=1e-4)


def test_nobody_is_no_one_to_look_at() -> None:
    """An empty picture has no trunk that leans; whatever comes out is finite."""
    eye = Painted(20.0, 15.0)
    proxy = look(eye, torch.zeros(2, 3, 256, 256))
    assert all(value.isfinite().all() for value in proxy)
    assert all(value.isfinite().all() for value in look(eye, torch.zeros(0, 3, 256, 256)))
