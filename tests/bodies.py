"""People in likely poses before a camera, in float64, for tests that differentiate."""

from functools import cache

import torch
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.geometry import Camera
from nbf.nets.mean_body import UPRIGHT

PEOPLE = 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@cache
def small() -> BodyModel:
    return load_body("anny24", "small").double()


@cache
def prior() -> PosePrior:
    return PosePrior.load()


def people(count: int = PEOPLE, seed: int = 1) -> Bodies:
    """Bodies in likely poses that face the camera."""
    rotations = prior().sample(count, generator(seed)).double()
    rotations[:, 0] = UPRIGHT.double()
    pelvis = torch.tensor([[0.1, 0.0, 3.0]]).double().expand(count, 3)
    return Bodies(0.5 * noise(count, small().shape_count, seed=seed), rotations, pelvis)


def camera(count: int = PEOPLE) -> Camera:
    return Camera(torch.full((count,), 1.4).double(), torch.full((count, 2), 0.5).double())
