"""People as parameters of SMPL, fitted to the surface of ours; for whoever has SMPL's file (nbf has not).

The two models have other shapes, so what is left of the distance between them is in the file as well.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.export.world import World, statement
from nbf.files import replacing
from nbf.geometry import axis_angle_from_matrix
from nbf.motion import STILL_RATE, Motion
from nbf.solve.convert import Conversion

_FRAMES = 8
"""That tell the shape, and that are fitted at a time."""


def write_smpl(path: str | Path, motion: Motion, smpl: BodyModel, world: World) -> None:
    """Write one person, compressed, under the names of smplx and AMASS, poses of SMPL's 24 joints.

    Args:
        motion: one person.
        smpl: the body model of SMPL's file (`nbf.load_body`).
        world: the file's frame.
    """
    fitted, residual = as_smpl(motion, smpl)
    moved = fitted.moved(world.from_camera)
    poses = axis_angle_from_matrix(moved.rotations).flatten(1).numpy()
    with replacing(path) as draft:
        np.savez_compressed(
            draft,
            allow_pickle=False,
            betas=moved.betas.numpy(),
            poses=poses,
            global_orient=poses[:, :3],
            body_pose=poses[:, 3:],
            trans=moved.translation.numpy(),
            residual_mm=1000 * residual,
            gender=np.array("neutral"),
            mocap_framerate=np.array(motion.frame_rate or STILL_RATE),
            fitted_to=np.array(motion.body_name),
            **{name: np.array(text) for name, text in statement(moved, world).items()},
        )


@torch.no_grad()
def as_smpl(motion: Motion, smpl: BodyModel) -> tuple[Motion, Float[ndarray, " t"]]:
    """The motion of the SMPL body that looks most like a person, one shape for all frames, and the mean distance of the
    surfaces in each frame, metres."""
    conversion = _conversion(motion.body, smpl)
    spread = torch.linspace(0, len(motion) - 1, min(len(motion), _FRAMES)).long()
    betas = conversion(*_parameters(motion, spread))[0].mean(0)
    chunks = torch.arange(len(motion)).split(_FRAMES)
    fits = zip(*(conversion(*_parameters(motion, chunk), betas) for chunk in chunks))
    _, rotations, translation, left = (torch.cat(parts) for parts in fits)
    fitted = Motion(motion.name, betas, rotations, translation, motion.frame_rate, smpl, "SMPL", motion.start)
    return fitted, left.numpy()


def _parameters(motion: Motion, frames: Int64[Tensor, " b"]) -> tuple[Tensor, Tensor, Tensor]:
    return motion.betas.expand(len(frames), -1), motion.rotations[frames], motion.translation[frames]


@lru_cache(maxsize=2)  # a batch of results has one pair of models
def _conversion(source: BodyModel, target: BodyModel) -> Conversion:
    return Conversion(source, target)
