"""Square crops of a picture: the map between their pixels, their camera, and the resampled crop itself."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from nbf.geometry.camera import Camera


@dataclass(frozen=True)
class Crop:
    """A square, axis-aligned window of a picture, resampled to `resolution` x `resolution` pixels.

    `center` (*b, 2; x, y) and `size` (*b; side) are in pixels of the full picture and may reach beyond it.
    """

    center: Float[Tensor, "*b 2"]
    size: Float[Tensor, "*b"]
    resolution: int

    @classmethod
    def from_boxes(cls, boxes: Float[Tensor, "*b 4"], resolution: int, margin: float | int = 1.2) -> "Crop":
        """Crops around boxes (x0, y0, x1, y1): the longer side of the box times `margin`."""
        corner, opposite = boxes[..., :2], boxes[..., 2:]
        return cls((corner + opposite) / 2, (opposite - corner).amax(dim=-1) * margin, resolution)

    def to_crop(self, points: Float[Tensor, "*p n 2"]) -> Float[Tensor, "*q n 2"]:
        """Pixels of the picture -> pixels of the crop."""
        return (points - self._origin[..., None, :]) * self._zoom[..., None, None]

    def to_image(self, points: Float[Tensor, "*p n 2"]) -> Float[Tensor, "*q n 2"]:
        """Pixels of the crop -> pixels of the picture."""
        return points / self._zoom[..., None, None] + self._origin[..., None, :]

    def camera(self, full: Camera) -> Camera:
        """The camera of the picture, expressed in pixels of the crop: the same rays, so the same 3D frame."""
        return Camera(full.focal * self._zoom, (full.center - self._origin) * self._zoom[..., None])

    def to(self, device: torch.device | str) -> "Crop":
        """The crop with its tensors on `device`."""
        return Crop(self.center.to(device), self.size.to(device), self.resolution)

    def sample(
        self, image: Float[Tensor, "*i c h w"] | UInt8[Tensor, "*i c h w"]
    ) -> Float[Tensor, "b c {self.resolution} {self.resolution}"]:
        """The crops' pixels: antialiased where they shrink the picture, bilinear where they enlarge it, 0 outside.

        One picture (c, h, w) shared by all crops, or one for each crop (b, c, h, w). uint8 pictures are read as
        value/255, which spares the conversion of the whole of a large photo.
        """
        centers, sizes = self.center.reshape(-1, 2), self.size.reshape(-1)
        images = image if image.ndim == 4 else image.expand(len(sizes), *image.shape)
        windows = [
            _resample(picture, center, size, self.resolution)
            for picture, center, size in zip(images, centers.tolist(), sizes.tolist(), strict=True)
        ]
        if not windows:
            return torch.zeros(0, image.shape[-3], self.resolution, self.resolution, device=image.device)
        return torch.stack(windows)

    @property
    def _origin(self) -> Tensor:
        return self.center - self.size[..., None] / 2

    @property
    def _zoom(self) -> Tensor:
        return self.resolution / self.size


def _resample(image: Tensor, center: list[float], size: float, resolution: int) -> Tensor:
    """One crop by a separable triangle filter, after averaging blocks of pixels where it shrinks 4 times or more."""
    step = size / resolution
    block = max(1, math.floor(step / 2))
    left, right = _span(center[0] - size / 2, size, step, image.shape[-1])
    top, bottom = _span(center[1] - size / 2, size, step, image.shape[-2])
    dtype = image.dtype if image.is_floating_point() else torch.get_default_dtype()
    if left == right or top == bottom:
        return torch.zeros(image.shape[0], resolution, resolution, dtype=dtype, device=image.device)
    # Pictures that were read lie in memory like this.
    window = _block_sums(image[:, top:bottom, left:right].permute(1, 2, 0), block, dtype)
    across = _filter(center[0] - size / 2 - left, step, block, resolution, window.shape[1])
    down = _filter(center[1] - size / 2 - top, step, block, resolution, window.shape[0])
    white = 1.0 if image.is_floating_point() else 255.0
    return _filtered(_filtered(window, *down).transpose(0, 1), *across).permute(2, 1, 0) / (white * block**2)


def _filtered(window: Tensor, taps: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums (resolution, w, c) of the rows of a window (h, w, c)."""
    rows = window.reshape(len(window), -1)
    taps, weights = taps.to(rows.device), weights.to(rows)
    return functional.embedding_bag(taps, rows, mode="sum", per_sample_weights=weights).unflatten(1, window.shape[1:])


def _block_sums(window: Tensor, block: int, dtype: torch.dtype) -> Tensor:
    """Sums over block x block pixels of a window (h, w, c); what the last blocks lack counts 0."""
    if block == 1:
        return window.to(dtype)
    # Rows first, a few at a time: a float copy of a large uint8 photo would cost more than all the rest.
    height, width, channels = window.shape
    rows = torch.zeros(-(-height // block), width, channels, dtype=dtype, device=window.device)
    for k in range(min(block, height)):
        part = window[k::block]
        rows[: len(part)] += part
    return functional.pad(rows, (0, 0, 0, -width % block)).unflatten(1, (-1, block)).sum(dim=2)


def _span(origin: float, size: float, step: float, length: int) -> tuple[int, int]:
    """The pixels [first, last) of the picture that the crop's filters can touch along one axis."""
    reach = 2.0 * max(step, 1.0)
    first = min(max(math.floor(origin - reach), 0), length)
    last = min(max(math.ceil(origin + size + reach), first), length)
    return first, last


def _filter(origin: float, step: float, block: int, resolution: int, length: int) -> tuple[Tensor, Tensor]:
    """Pixels (resolution, taps) of the triangle filter along one axis of a window averaged over `block` pixels, and
    their weights.

    Row i is centred on the centre of crop pixel i and sums to 1 over an endless picture; pixels outside count 0.
    """
    centers = (origin + (torch.arange(resolution, dtype=torch.float64) + 0.5) * step) / block
    radius = max(step / block, 1.0)
    # All taps that the triangle covers, also those outside the window: they take part in the normalisation.
    taps = torch.floor(centers - radius)[:, None] + torch.arange(math.ceil(2 * radius) + 2)
    weights = (1.0 - (taps + 0.5 - centers[:, None]).abs() / radius).clamp_min(0.0)
    weights = weights / weights.sum(dim=1, keepdim=True)
    inside = (taps >= 0) & (taps < length)
    return taps.clamp(0, length - 1).long(), weights * inside
