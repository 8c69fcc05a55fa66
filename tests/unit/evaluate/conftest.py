"""People whose parameters are known, and the groups in which a benchmark hands them out."""

import pytest
import torch

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.evaluate.bench import Group
from nbf.geometry.rotations import matrix_from_axis_angle

PELVES = torch.tensor([[0.1, 0.0, 4.0], [-0.2, 0.1, 5.0], [0.0, -0.1, 4.5]])


@pytest.fixture(scope="session")
def body() -> BodyModel:
    return load_body("anny24", "small")


@pytest.fixture
def group(body: BodyModel) -> Group:
    """Three people, facing the camera, joints a little bent, in the middle of 256 px crops."""
    draw = torch.Generator().manual_seed(0)
    betas = torch.randn(3, body.shape_count, generator=draw) * 0.5
    rotations = matrix_from_axis_angle(torch.randn(3, 24, 3, generator=draw) * 0.2)
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1, -1])) @ rotations[:, 0]
    translation = PELVES - body.rest_joints(betas)[:, 0]
    labels = torch.randint(25, (3, 64, 64), generator=draw)
    batch = {
        "betas": betas,
        "rotations": rotations,
        "translation": translation,
        "focal": torch.full((3,), 400.0),
        "center": torch.full((3, 2), 128.0),
        "parts": torch.nn.functional.one_hot(labels, 25).movedim(-1, 1).float(),
        "ignore": torch.zeros(3, 64, 64, dtype=torch.bool),
        "image": torch.rand(3, 3, 256, 256, generator=draw),
        "joints_3d": body(betas, rotations, translation).joints,
    }
    return Group(batch)
