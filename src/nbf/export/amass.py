"""One person's motion as NumPy archives of AMASS' layout (Mahmood et al., ICCV 2019), which tools for motion read.

AMASS' world has z up, its poses are those of SMPL+H: root and 21 joints that SMPL has, too, then fingers, which are
straight here. Its betas are SMPL's, and these are not: `body_model` and `betas_are_not_smpl` say so.
"""

from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf.arguments import path as checked_path
from nbf.body.files import BUNDLED, load_body
from nbf.errors import InputError
from nbf.export.world import World, statement
from nbf.files import replacing
from nbf.geometry import axis_angle_from_matrix, matrix_from_axis_angle
from nbf.motion import STILL_RATE, Motion
from nbf.reading import Array, Damaged, read_npz, refusing, unpack

_SHARED, _NUMBERS = 22, 156
"""Joints that SMPL and SMPL+H share, and numbers of a pose of SMPL+H."""
_FAR, _LONGEST_NAME = 1e6, 80
_ARRAYS = {
    "poses": Array(np.float32, ("t", _NUMBERS), -100, 100),
    "hand_poses": Array(np.float32, ("t", 6), -100, 100),
    "trans": Array(np.float32, ("t", 3), -_FAR, _FAR),
    "betas": Array(np.float32, ("s",), -100, 100),
    "mocap_framerate": Array(np.float64, (), 1e-6, 1e6),
    "body_model": Array("U", ()),
    "name": Array("U", ()),
    "start": Array(np.int64, (), 0, 1 << 31),
}


def write_amass(path: str | Path, motion: Motion, world: World) -> None:
    """Write one person, compressed.

    Args:
        motion: one person.
        world: a frame with y up; the file's has z up instead.
    """
    world = world.z_up()
    moved = motion.moved(world.from_camera)
    vectors = axis_angle_from_matrix(moved.rotations).flatten(1).numpy()
    poses = np.zeros((len(motion), _NUMBERS), np.float32)
    poses[:, : 3 * _SHARED] = vectors[:, : 3 * _SHARED]
    notice = (
        f"betas belong to the body model {motion.body_name} of nbf: SMPL's betas mean other shapes; "
        "nbf export --to smpl converts"
    )
    with replacing(path) as draft:
        np.savez_compressed(
            draft,
            allow_pickle=False,
            poses=poses,
            hand_poses=vectors[:, 3 * _SHARED :],
            trans=moved.translation.numpy(),
            betas=motion.betas.numpy(),
            name=np.array(motion.name),
            start=np.array(motion.start),
            gender=np.array("neutral"),
            mocap_framerate=np.array(motion.frame_rate or STILL_RATE),
            betas_are_not_smpl=np.array(notice),
            **{name: np.array(text) for name, text in statement(motion, world).items()},
        )


def is_amass(path: str | Path) -> bool:
    """Whether a file is an archive with a rate of motion capture, as AMASS' are, and no photo's is."""
    with suppress(Damaged, OSError):
        return "mocap_framerate" in unpack(path, ())
    return False


def read_amass(path: str | Path) -> Motion:
    """Somebody in a file that `write_amass` wrote, in the frame of a camera that stood upright where the file's origin
    is: written as seen, that is the camera they were seen by.

    Raises:
        InputError: the file is missing, damaged, of AMASS itself, or of a body model that is not bundled.
    """
    path = checked_path(path, "path")
    with refusing(InputError, path, "a motion that nbf wrote", "export it anew"):
        arrays = read_npz(path, _ARRAYS)
        model, name = str(arrays.pop("body_model")), str(arrays.pop("name"))[:_LONGEST_NAME]
        if model not in BUNDLED or len(arrays["poses"]) == 0:
            raise Damaged(f"expected poses of the body model {' or '.join(BUNDLED)}, got those of {model[:80]!a}")
        body, betas = load_body(model), torch.from_numpy(arrays["betas"])
        if len(betas) != body.shape_count:
            raise Damaged(f"expected {body.shape_count} betas, got {len(betas)}")
    rotations = _rotations(torch.from_numpy(arrays["poses"]), torch.from_numpy(arrays["hand_poses"]))
    rate = float(arrays["mocap_framerate"]) if len(rotations) > 1 else None
    world = World.as_seen().z_up()
    translation, start = torch.from_numpy(arrays["trans"]), int(arrays["start"])
    motion = Motion(name, betas, rotations, translation, rate, body, model, start)
    return motion.moved(torch.linalg.inv(world.from_camera))


def _rotations(poses: Float[Tensor, "t 156"], hands: Float[Tensor, "t 6"]) -> Float[Tensor, "t 24 3 3"]:
    vectors = torch.cat([poses[:, : 3 * _SHARED], hands], dim=1).unflatten(1, (24, 3))
    return matrix_from_axis_angle(vectors)
