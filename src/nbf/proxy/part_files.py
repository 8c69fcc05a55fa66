"""Part maps that people paint: pictures of labels, written, read back, and put into a person's crop."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from nbf.body.parts import COLORS, PARTS24
from nbf.errors import InputError
from nbf.files import replacing
from nbf.geometry import Crop
from nbf.nets.segmenter import STRIDE

_TOLERANCE = 12.0
"""RGB distance that still is a colour: a third of the least between two parts', more than colour management moves."""


def read_part_map(path: str | Path, width: int, height: int) -> UInt8[np.ndarray, "{height} {width}"]:
    """A part map of a whole picture: labels 0 (background) and 1..24 (`nbf.body.parts.PARTS24`).

    Its pixels are either colours of `nbf.body.parts.COLORS`, as `write_part_map` paints them (slightly off is fine), or
    the labels themselves as grey values or palette indices. What was erased (transparent) is background.

    Args:
        path: a PNG file.
        width, height: pixels of the upright picture; the map has as many.

    Raises:
        InputError: the file cannot be read or has another size, an unknown colour or a label above 24; says where.
    """
    path = Path(path)
    try:
        # Only PNG: JPEG turns labels into their neighbours.
        with Image.open(path, formats=["PNG"]) as image:
            if image.size != (width, height):
                raise InputError(
                    f"{path}: expected a part map of the photo's size, {width} x {height}, got "
                    f"{image.width} x {image.height}; save it as large as the photo, upright and uncropped"
                )
            values = np.asarray(image)
            # Pillow has no colours of 16-bit grey values.
            deep = image.mode.startswith("I")
            rgba = None if deep else np.asarray(image.convert("RGBA"))
            indexed = image.mode == "P"
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a part map (PNG)") from None
    # Decoders of damaged files raise whatever their parsers happen to meet.
    except Exception as error:
        raise InputError(f"{path}: cannot be read as PNG ({error}); expected a part map, saved as PNG") from error
    if rgba is None:
        return _checked_labels(values, path)
    erased = rgba[..., 3] < 128
    rgb = np.where(erased[..., None], 0, rgba[..., :3]).astype(np.uint8)
    grey = bool((rgb == rgb[..., :1]).all())
    colors, where = _distinct(rgb)
    # Paint programs reorder palettes, so that a palette's colours say more than its indices, if they are ours.
    ours = (grey and rgb.max() < len(COLORS)) or (indexed and (colors[:, None] == COLORS[1:].numpy()).all(-1).any())
    if indexed and not ours:
        return _checked_labels(np.where(erased, 0, values), path)
    if grey:
        return _checked_labels(rgb[..., 0], path)
    distance = torch.cdist(torch.as_tensor(colors).float(), COLORS.float())
    off, nearest = distance.min(dim=1)
    unknown = (off > _TOLERANCE).numpy()[where]
    if unknown.any():
        y, x = np.argwhere(unknown)[0]
        name = PARTS24[int(nearest[where[y, x]])]
        raise InputError(
            f"{path}: expected only the colours of the 24 parts and black, got {tuple(rgb[y, x].tolist())} at x {x}, "
            f"y {y} (nearest is {name}, {tuple(COLORS[PARTS24.index(name)].tolist())}) and {unknown.sum() - 1} such "
            "pixels more; paint with a hard pencil (no smoothing) in colours picked from the map, and save as PNG"
        )
    return nearest.to(torch.uint8).numpy()[where]


def write_part_map(labels: UInt8[np.ndarray, "h w"], path: str | Path) -> None:
    """Write labels 0..24 as a PNG with a palette of `nbf.body.parts.COLORS`: shows in colours, reads back exactly.

    Raises:
        OSError: the file cannot be written.
    """
    image = Image.fromarray(labels)
    image.putpalette(COLORS.flatten().tolist())
    with replacing(path) as draft:
        image.save(draft, "PNG")


def part_shares(labels: UInt8[np.ndarray, "h w"], crop: Crop) -> Float[Tensor, "25 r r"]:
    """What the fitter reads of a picture's labels 0..24: the share of each part in each cell of one person's crop.

    The map has a cell for `STRIDE` pixels of the crop each way, 64 x 64 in all for crops of 256; beyond the picture all
    is background. The inverse of `nbf.render.parts.part_labels`, but for the resampling.
    """
    size = crop.resolution // STRIDE
    shares = torch.zeros(25, size, size)
    for label in np.unique(labels).tolist():
        mask = torch.from_numpy((labels == label).astype(np.uint8) * 255)[None]
        window = Crop(crop.center[None], crop.size[None], crop.resolution).sample(mask)
        # First the crop's pixels, then the mean of a cell's: as training makes its true part maps.
        shares[label] = avg_pool2d(window, STRIDE)[0, 0]
    shares[0] += (1 - shares.sum(dim=0)).clamp_min(0)
    return shares


def connected_to(parts: Float[Tensor, "25 h w"], own: Bool[Tensor, "h w"]) -> Float[Tensor, "25 h w"]:
    """Of a part map, the regions of people that lie in `own` at least by half; the others become background.

    Labels of a whole picture do not say whose they are. In one person's crop this leaves out neighbours who stand
    apart, and keeps what somebody painted on.
    """
    left = parts[0] < 0.5
    kept = torch.zeros_like(left)
    while left.any():
        region = torch.zeros_like(left)
        region.view(-1)[left.flatten().nonzero()[0]] = True
        region = _flooded(region, left)
        left = left & ~region
        if 2 * (region & own).sum() >= region.sum():
            kept |= region
    # A border that covers less than half of a cell belongs to the region next to it.
    kept = max_pool2d(kept[None].float(), 3, 1, 1)
    return torch.cat([1 - kept * (1 - parts[:1]), kept * parts[1:]])


def _flooded(region: Bool[Tensor, "h w"], within: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """All cells that are connected to a region, over corners, too."""
    while True:
        grown = (max_pool2d(region[None].float(), 3, 1, 1)[0] > 0) & within
        if torch.equal(grown, region):
            return region
        region = grown


def _checked_labels(values: np.ndarray, path: Path) -> UInt8[np.ndarray, "h w"]:
    wrong = (values < 0) | (values >= len(COLORS))
    if wrong.any():
        y, x = np.argwhere(wrong)[0]
        raise InputError(
            f"{path}: expected labels 0 .. 24 or the colours of the parts, got the value {values[y, x]} at x {x}, "
            f"y {y}; start from the map that nbf predict writes"
        )
    return values.astype(np.uint8)


def _distinct(rgb: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "k 3"], Int32[np.ndarray, "h w"]]:
    """The colours in a picture, and which of them (h, w) each pixel has; without sorting the pixels."""
    codes = rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    present = np.zeros(1 << 24, bool)
    present[codes] = True
    used = np.flatnonzero(present)
    rank = np.zeros(1 << 24, np.int32)
    rank[used] = np.arange(len(used))
    return np.stack([used >> 16, used >> 8 & 255, used & 255], axis=-1).astype(np.uint8), rank[codes]
