"""The room against its own geometry: feet on the floor, one level camera, the floor line where the wall begins."""

from pathlib import Path

import pytest
import torch

from nbf.geometry.camera import Camera
from nbf.synth.room import Room
from nbf.synth.sampler import Sampler, SamplerConfig
from nbf.synth.view import ViewConfig

LEVEL = ViewConfig(elevation_deg=0.0, roll_deg=0.0, truncated=0.0)


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    config = SamplerConfig(bystanders=0.0, occluded=0.0, room=Room(), view=LEVEL)
    return Sampler.load(Path("no such folder"), "test", config=config).sample(4)


def test_everybody_stands_on_the_floor_at_the_right_distance(batch: dict[str, torch.Tensor]) -> None:
    lowest = batch["vertices"][..., 1].amax(1)
    torch.testing.assert_close(lowest, torch.full((4,), Room().camera_height))
    depth = batch["joints_3d"][:, 0, 2]
    assert (depth >= 4 - 1e-4).all()
    assert (depth <= 5 + 1e-4).all()


def test_labels_move_with_the_person(batch: dict[str, torch.Tensor]) -> None:
    camera = Camera(batch["focal"], batch["center"])
    torch.testing.assert_close(camera.project(batch["joints_3d"]), batch["joints_2d"])
    pelvis = (batch["joints_2d"][:, 0] / 4).long()
    covered = 1 - batch["parts"][:, 0]
    assert all(covered[i, y, x] > 0.9 for i, (x, y) in enumerate(pelvis.tolist()))


def test_the_floor_ends_at_the_wall() -> None:
    room = Room()
    camera = Camera(torch.tensor([200.0]), torch.tensor([[64.0, 64.0]]))
    body = torch.tensor([[[0.0, 1.4, 4.5], [0.0, 0.0, 4.5]]])
    picture = room.draw(camera, body, 128, torch.Generator().manual_seed(0))[0]
    edge = 64 + 200 * 1.4 / 7
    column = picture[:, :, 20]
    jumps = (column[:, 1:] - column[:, :-1]).abs().amax(0)
    assert abs(int(jumps[70:].argmax()) + 71 - edge) <= 200 * 0.09 / 7 + 1.5
    # The floor is darkest under the person.
    under, aside = 64 + int(200 * 1.4 / 4.5), 5
    assert picture[:, under, 64].mean() < 0.8 * picture[:, under, aside].mean()
