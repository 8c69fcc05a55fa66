"""The pinhole camera, and the crop camera (scale, offset) that the fitter predicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

# Omran et al., "Neural Body Fitting", 3DV 2018: one fixed focal length of 5000 px for a 512 px picture.
_NBF_FOCAL = 5000.0
_NBF_SIZE = 512


Lens = Literal["given", "EXIF", "guess"]
"""How a focal length came about: somebody said it, the camera wrote it into the picture, or nobody did."""


@dataclass(frozen=True)
class Camera:
    """Pinhole camera with square pixels and no distortion; OpenCV axes: x right, y down, z forward, metres.

    `focal` (*b) and `center` (*b, 2; x, y) are in pixels, where pixel (column 0, row 0) covers [0, 1] x [0, 1].
    The batch of a camera broadcasts against the batch of the points it is given. `lens` says how the focal length of a
    picture's camera came about, None where that is not known.
    """

    focal: Float[Tensor, "*b"]
    center: Float[Tensor, "*b 2"]
    lens: Lens | None = None

    def __getitem__(self, rows: int | slice | Tensor) -> "Camera":
        """Some cameras of a batch."""
        return replace(self, focal=self.focal[rows], center=self.center[rows])

    @classmethod
    def joined(cls, cameras: "Sequence[Camera]") -> "Camera":
        """The cameras of several batches as one batch."""
        return cls(torch.cat([each.focal for each in cameras]), torch.cat([each.center for each in cameras]))

    @classmethod
    def nbf(cls, size: int = _NBF_SIZE) -> "Camera":
        """The fixed camera of the NBF paper for a square picture of `size` pixels."""
        return cls(torch.tensor(_NBF_FOCAL * size / _NBF_SIZE), torch.full((2,), size / 2.0))

    @classmethod
    def default(cls, width: int, height: int) -> "Camera":
        """A guess for a photo with unknown lens: focal length = diagonal, as CLIFF (Li et al., ECCV 2022)."""
        return cls(torch.tensor(math.hypot(width, height)), torch.tensor([width / 2.0, height / 2.0]))

    def project(self, points: Float[Tensor, "*p n 3"]) -> Float[Tensor, "*q n 2"]:
        """Pixels (x, y) of points in camera metres. At z <= 0 (behind the camera) they mean nothing."""
        return points[..., :2] / points[..., 2:] * self.focal[..., None, None] + self.center[..., None, :]

    def unproject(self, pixels: Float[Tensor, "*p n 2"], depth: Float[Tensor, "*p n"]) -> Float[Tensor, "*q n 3"]:
        """Camera points (metres) seen at `pixels` at a `depth` along z (metres)."""
        rays = (pixels - self.center[..., None, :]) / self.focal[..., None, None]
        rays = torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1)
        return rays * depth[..., None]

    def pixels_depth(self, points: Float[Tensor, "*p n 3"]) -> Float[Tensor, "*q n 3"]:
        """(x px, y px, z m) of points in camera metres: what `nbf.raster.rasterize` takes."""
        pixels = self.project(points)
        return torch.cat([pixels, points[..., 2:].expand(*pixels.shape[:-1], 1)], dim=-1)

    def scaled(self, factor: float | int) -> "Camera":
        """The camera of the same picture resized by `factor`."""
        return replace(self, focal=self.focal * factor, center=self.center * factor)

    def to(self, device: torch.device | str) -> "Camera":
        """The camera with its tensors on `device`."""
        return replace(self, focal=self.focal.to(device), center=self.center.to(device))


def translation_from_crop_camera(
    scale: Float[Tensor, "*b"], offset: Float[Tensor, "*b 2"], camera_in_crop: Camera, resolution: int
) -> Float[Tensor, "*b 3"]:
    """Pelvis position (camera metres) of a crop camera.

    `scale` > 0 is the fraction of the crop's side that one metre spans at the pelvis; `offset` is where the pelvis
    projects, from -1 to 1 across the crop (x right, y down). `camera_in_crop` is the full camera seen from the crop
    (`Crop.camera`), so the same prediction gives the right perspective anywhere in the picture.
    """
    depth = camera_in_crop.focal / (scale * resolution)
    pixel = (offset * 0.5 + 0.5) * resolution
    return camera_in_crop.unproject(pixel[..., None, :], depth[..., None])[..., 0, :]


def crop_camera_from_translation(
    pelvis: Float[Tensor, "*b 3"], camera_in_crop: Camera, resolution: int
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b 2"]]:
    """(scale, offset) of a pelvis position: the inverse of `translation_from_crop_camera`."""
    scale = camera_in_crop.focal / (pelvis[..., 2] * resolution)
    pixel = camera_in_crop.project(pelvis[..., None, :])[..., 0, :]
    return scale, pixel / resolution * 2.0 - 1.0
