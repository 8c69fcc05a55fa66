"""Somebody who moves, made up, for tests."""

from dataclasses import replace

import torch

from nbf.body.files import load_body
from nbf.body.model import BodyData, BodyModel
from nbf.geometry import matrix_from_axis_angle
from nbf.motion import Motion


def motion(name: str = "person_0", seed: int = 0, frames: int = 3, bend: float = 0.3) -> Motion:
    """Somebody whose joints are turned at random, 4 m in front of the camera."""
    generator = torch.Generator().manual_seed(seed)
    body = load_body("anny24", "small")
    rotations = matrix_from_axis_angle(bend * torch.randn(frames, 24, 3, generator=generator))
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ rotations[:, 0]
    translation = torch.tensor([0.3, 0.2, 4.0]) + 0.1 * torch.randn(frames, 3, generator=generator)
    betas = torch.randn(body.shape_count, generator=generator)
    return Motion(name, betas, rotations, translation, 25.0, body, "anny24")


def off_origin(someone: Motion) -> Motion:
    """The same with a body as SMPL's, whose pelvis is not at the origin at rest, as that of anny24 is."""
    data = {name: getattr(someone.body, name) for name in BodyData.__dataclass_fields__}
    shift = torch.tensor([0.1, -0.3, 0.05])
    data |= {name: data[name] + shift for name in ("template", "joint_template")}
    return replace(someone, body=BodyModel(BodyData(**data)))
