"""Made-up results, so that files and pictures of people can be tested without networks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from street import write_street_photos

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.certainty import PARTS14, Certainty
from nbf.geometry import Camera, Crop, matrix_from_axis_angle
from nbf.people import PartMap, People, Person
from nbf.pictures import Picture


@pytest.fixture(scope="session")
def small_body() -> BodyModel:
    return load_body("anny24", "small")


def made_up_certainty(shapes: int) -> Certainty:
    """Everything seen but the left hand, which the body hides, and the right foot, which the photo cuts off."""
    hand, foot = PARTS14.index("left_hand"), PARTS14.index("right_foot")
    cells, seen, cut, entropy = torch.full((14,), 50.0), torch.full((14,), 0.9), torch.zeros(14), torch.full((14,), 0.2)
    cells[hand], seen[hand], cut[hand], entropy[hand] = 0, torch.nan, torch.nan, torch.nan
    seen[foot], cut[foot] = 0.0, 1.0
    errors, keypoints = torch.linspace(0, 0.1, 24), torch.eye(2) * torch.linspace(1, 4, 17)[:, None, None]
    return Certainty(errors, cells, seen, cut, entropy, ~(seen > 0.25), 0.04 * torch.eye(shapes), keypoints)


@pytest.fixture(scope="session")
def make_people(small_body) -> Callable[..., People]:
    """make_people(count, bend) -> people side by side, 4 m away, facing the camera, their joints bent at random."""

    def make(count: int, bend: float = 0.3, width: int = 96, height: int = 128) -> People:
        draw = torch.Generator().manual_seed(count)
        betas = torch.randn(count, small_body.shape_count, generator=draw) * 0.7
        rotations = matrix_from_axis_angle(torch.randn(count, 24, 3, generator=draw) * bend)
        rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ rotations[:, 0]
        # A body's root is about a metre above its feet; the camera (y down) looks at the root.
        translation = torch.tensor([[1.5 * i - 0.75 * (count - 1), 0.0, 4.0] for i in range(count)]).reshape(-1, 3)
        translation = translation - small_body.rest_joints(betas)[:, 0]
        picture = Picture(np.full((height, width, 3), 200, np.uint8), "made-up")
        camera = Camera.default(width, height)
        persons = []
        for i in range(count):
            posed = small_body(betas[i], rotations[i], translation[i])
            pixels = camera.project(posed.vertices)
            box = torch.cat([pixels.amin(dim=0), pixels.amax(dim=0)])
            parts = torch.full((25, 64, 64), 0.001)
            parts[0], parts[13, 16:48, 24:40] = 0.9, 50.0
            persons.append(
                Person(
                    betas=betas[i],
                    rotations=rotations[i],
                    translation=translation[i],
                    camera=camera,
                    box=box,
                    score=0.9 - 0.1 * i,
                    parts=PartMap(parts / parts.sum(dim=0), Crop.from_boxes(box, 256)),
                    keypoints=torch.cat([camera.project(small_body.keypoints(posed, "coco17")), torch.ones(17, 1)], 1),
                    body=small_body,
                    body_name="anny24",
                    posed=posed,
                    certainty=made_up_certainty(small_body.shape_count),
                    picture=picture,
                )
            )
        return People(tuple(persons), picture, camera)

    return make


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A shared folder of a few drawn street photos and backgrounds."""
    return write_street_photos(tmp_path / "shared")
