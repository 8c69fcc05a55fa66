"""Pictures, part maps and keypoints in the mirror: a segmenter asked both ways, the mean of both answers.

Left and right are then treated alike by construction, and two looks err less than one.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import MIRROR_COCO17
from nbf.body.parts import MIRROR24
from nbf.nets.fitter import FitterInput
from nbf.nets.segmenter import INPUT_SIZE, SegmenterOutput, decode_keypoints, part_probabilities


def mirror_parts(parts: Float[Tensor, "b 25 h w"]) -> Float[Tensor, "b 25 h w"]:
    """The part map of the mirrored picture: columns reversed, left and right parts exchanged."""
    return parts.flip(-1)[:, list(MIRROR24)]


def mirror_keypoints(keypoints: Float[Tensor, "b 17 3"]) -> Float[Tensor, "b 17 3"]:
    """Keypoints of the mirrored picture; x runs from -1 to 1."""
    return keypoints[:, list(MIRROR_COCO17)] * keypoints.new_tensor([-1.0, 1.0, 1.0])


def segment_both_ways(segmenter: Callable[[Tensor], SegmenterOutput], image: Float[Tensor, "b 3 h w"]) -> FitterInput:
    """What a segmenter sees in pictures of 256 px, the mean over both ways to look at them."""
    output = segmenter(torch.cat([image, image.flip(-1)]))
    parts, mirrored = part_probabilities(output).chunk(2)
    heat, mirrored_heat = output.keypoints.chunk(2)
    heat = (heat + mirrored_heat.flip(-1)[:, list(MIRROR_COCO17)]) / 2
    return FitterInput((parts + mirror_parts(mirrored)) / 2, in_crop(decode_keypoints(heat)))


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
