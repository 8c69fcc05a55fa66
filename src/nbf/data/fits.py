"""Bodies fitted to the real photos: shape, pose and place of the people of a pack, to learn from.

`nbf fit-photos` writes them; rows are the people of the pack of photos beside them (`nbf.data.pack`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from nbf.body.joints import mirror_rotations
from nbf.body.model import BodyModel, turn_about_origin
from nbf.data.pack import Photos
from nbf.errors import DataError
from nbf.files import replacing
from nbf.geometry import Camera, matrix_from_axis_angle
from nbf.geometry.window import Window
from nbf.reading import Array, read_npz, refusing

_FAR = 1e6
_ARRAYS = {
    "photo": Array(np.int64, ("n",), low=0),
    "boxes": Array(np.float32, ("n", 4), low=-_FAR, high=_FAR),
    "betas": Array(np.float32, ("n", "s"), low=-_FAR, high=_FAR),
    "axis_angle": Array(np.float32, ("n", 24, 3), low=-_FAR, high=_FAR),
    "translation": Array(np.float32, ("n", 3), low=-_FAR, high=_FAR),
    "focal": Array(np.float32, ("n",), low=1e-3, high=_FAR),
    "center": Array(np.float32, ("n", 2), low=-_FAR, high=_FAR),
    "kept": Array(bool, ("n",)),
    **{name: Array(np.float32, ("n",), nan=True) for name in ("pck", "keypoint_error", "iou", "part_share")},
}


@dataclass(frozen=True)
class RealFits:
    """One body for each of the n people of a pack."""

    photo: Int64[Tensor, " n"]
    boxes: Float32[Tensor, "n 4"]
    """(x0, y0, x1, y1) in pixels of the pack; with `photo`, what ties a row to a person."""
    betas: Float32[Tensor, "n s"]
    axis_angle: Float32[Tensor, "n 24 3"]
    """parent_from_joint in radians; the root's is cam_from_body."""
    translation: Float32[Tensor, "n 3"]
    """Metres, as `BodyModel.forward` takes it, in the frame of the photo's default camera."""
    focal: Float32[Tensor, " n"]
    center: Float32[Tensor, "n 2"]
    """That camera, in pixels of the pack."""
    kept: Bool[Tensor, " n"]
    """The body agrees with keypoints and mask: fit to learn from."""
    pck: Float32[Tensor, " n"]
    """Share of the trusted keypoints within a fifth of the torso."""
    keypoint_error: Float32[Tensor, " n"]
    """Mean distance of trusted keypoints, in crop sides (1.2 times the longer side of the box)."""
    iou: Float32[Tensor, " n"]
    """Overlap of body and person."""
    part_share: Float32[Tensor, " n"]
    """Share of the pixels on body and person where both have the same merged part."""

    def save(self, path: Path) -> None:
        """Write a compressed .npz."""
        with replacing(path) as draft:
            np.savez_compressed(
                draft, allow_pickle=False, **{name: value.numpy() for name, value in vars(self).items()}
            )

    @classmethod
    def load(cls, path: Path, photos: Photos | None = None) -> "RealFits":
        """Read what `nbf fit-photos` wrote; checked against the pack if it is given.

        Raises:
            DataError: the file is missing, is something else, or belongs to another pack.
        """
        if not path.is_file():
            raise DataError(f"no fits of real photos at {path}: make them with `nbf fit-photos`")
        with refusing(DataError, path, "fits of real photos", "make them with `nbf fit-photos`"):
            fits = cls(**{name: torch.from_numpy(array) for name, array in read_npz(path, _ARRAYS).items()})
        if photos is not None and not (
            torch.equal(fits.photo, photos.photo.cpu())
            and fits.boxes.shape == photos.boxes.shape
            and torch.allclose(fits.boxes, photos.boxes.cpu())
        ):
            raise DataError(f"{path}: fits of other people than the pack's; make them again with `nbf fit-photos`")
        return fits

    def to(self, device: torch.device | str) -> "RealFits":
        return RealFits(**{name: value.to(device) for name, value in vars(self).items()})

    def __len__(self) -> int:
        return len(self.photo)

    def __getitem__(self, people: slice | Tensor) -> "RealFits":
        return RealFits(**{name: value[people] for name, value in vars(self).items()})

    @property
    def rotations(self) -> Float[Tensor, "n 24 3 3"]:
        """parent_from_joint; the root's is cam_from_body."""
        return matrix_from_axis_angle(self.axis_angle)

    @property
    def camera(self) -> Camera:
        """Each person's camera, in pixels of the pack."""
        return Camera(self.focal, self.center)


@dataclass(frozen=True)
class FittedBodies:
    """Fits of a pack as labels for windows of its photos."""

    fits: RealFits
    body: BodyModel

    def labels(self, people: Int64[Tensor, " n"], window: Window, resolution: int) -> dict[str, Tensor]:
        """The bodies of `people`, one for each window, as crops of `resolution` pixels show them: turned and mirrored.

        Returns:
            betas (n, s), rotations (n, 24, 3, 3), translation (n, 3), focal (n,), center (n, 2) in crop pixels, and
            has_body (n,) bool: the fit was kept.
        """
        fits, mirrored = self.fits[people], window.mirrored
        scale = resolution / window.side
        turn = torch.eye(3, device=scale.device).repeat(len(scale), 1, 1)
        # In-plane turns and mirrors leave depths alone: they may as well happen in the camera as in the picture.
        turn[:, :2, :2] = window.turn().mT
        flip = torch.ones_like(fits.translation)
        flip[:, :2] = window.flip()
        pelvis = self.body.rest_joints(fits.betas)[:, 0]
        rotations, translation = turn_about_origin(turn, pelvis, fits.rotations, fits.translation)
        return {
            "betas": fits.betas,
            "rotations": torch.where(mirrored[:, None, None, None], mirror_rotations(rotations), rotations),
            "translation": (translation + pelvis) * flip - pelvis,
            "focal": fits.focal * scale,
            "center": (window.to_unit(fits.center[:, None])[:, 0] + 1) / 2 * resolution,
            "has_body": fits.kept,
        }
