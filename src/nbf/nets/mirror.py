"""Pictures, part maps, keypoints and surfaces in the mirror: a segmenter asked both ways, the mean of both answers.

Left and right are then treated alike by construction, and two looks err less than one.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import MIRROR_COCO17
from nbf.body.parts import MIRROR24
from nbf.nets.segmenter import INPUT_SIZE, SegmenterOutput, decode_keypoints, part_probabilities


class Seen(NamedTuple):
    """What a segmenter sees in b pictures.

    parts: probabilities of background and the 24 parts. keypoints: x, y of the 17 COCO keypoints in the crop (-1 the
    left/top edge, 1 the right/bottom one) and a score in [0, 1]. surface: canonical coordinates in [0, 1], meaningful
    on the person only.
    """

    parts: Float[Tensor, "b 25 h w"]
    keypoints: Float[Tensor, "b 17 3"]
    surface: Float[Tensor, "b 3 h w"]


def mirror_parts(parts: Float[Tensor, "b 25 h w"]) -> Float[Tensor, "b 25 h w"]:
    """The part map of the mirrored picture: columns reversed, left and right parts exchanged."""
    return parts.flip(-1)[:, list(MIRROR24)]


def mirror_keypoints(keypoints: Float[Tensor, "b 17 3"]) -> Float[Tensor, "b 17 3"]:
    """Keypoints of the mirrored picture; x runs from -1 to 1."""
    return keypoints[:, list(MIRROR_COCO17)] * keypoints.new_tensor([-1.0, 1.0, 1.0])


def mirror_surface(surface: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Surface coordinates of the mirrored picture: the T-posed body's left is at x = 1, its right at 0."""
    flipped = surface.flip(-1)
    return torch.cat([1 - flipped[:, :1], flipped[:, 1:]], dim=1)


def segment_both_ways(segmenter: Callable[[Tensor], SegmenterOutput], image: Float[Tensor, "b 3 h w"]) -> Seen:
    """What a segmenter sees in pictures of 256 px, the mean over both ways to look at them."""
    output = segmenter(torch.cat([image, image.flip(-1)]))
    parts, mirrored = part_probabilities(output).chunk(2)
    heat, mirrored_heat = output.keypoints.chunk(2)
    heat = (heat + mirrored_heat.flip(-1)[:, list(MIRROR_COCO17)]) / 2
    surface, mirrored_surface = output.surface.chunk(2)
    return Seen(
        (parts + mirror_parts(mirrored)) / 2,
        in_crop(decode_keypoints(heat)),
        (surface + mirror_surface(mirrored_surface)) / 2,
    )


def in_crop(points: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
    """Points (x, y, ...) in pixels of the segmenter's input -> -1 to 1 across the crop, as the fitter takes them."""
    return torch.cat([points[..., :2] * (2 / INPUT_SIZE) - 1, points[..., 2:]], dim=-1)


def in_sides(points: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
    """Points (x, y, ...) from -1 to 1 across the crop -> crop sides, 0 to 1."""
    return torch.cat([points[..., :2] / 2 + 0.5, points[..., 2:]], dim=-1)


def from_sides(points: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
    """The inverse of `in_sides`."""
    return torch.cat([points[..., :2] * 2 - 1, points[..., 2:]], dim=-1)


def in_pixels(points: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
    """The inverse of `in_crop`."""
    return torch.cat([(points[..., :2] + 1) * (INPUT_SIZE / 2), points[..., 2:]], dim=-1)
