"""Ask a network twice, of a picture and of its mirror image, and take the mean of the two answers.

Left and right are then treated alike by construction, and two looks err less than one.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import MIRROR_COCO17, MIRROR_SMPL24, local_rotations, mirror_rotations, world_rotations
from nbf.body.parts import MIRROR24
from nbf.geometry.rotations import axis_angle_from_matrix, project_to_rotation
from nbf.nets.fitter import FitterOutput, JointMaps, Proxy
from nbf.nets.segmenter import INPUT_SIZE, SegmenterOutput, decode_keypoints, part_probabilities


def mirror_parts(parts: Float[Tensor, "b 25 h w"]) -> Float[Tensor, "b 25 h w"]:
    """The part map of the mirrored picture: columns reversed, left and right parts exchanged."""
    return parts.flip(-1)[:, list(MIRROR24)]


def mirror_keypoints(keypoints: Float[Tensor, "b 17 3"]) -> Float[Tensor, "b 17 3"]:
    """Keypoints of the mirrored picture; x runs from -1 to 1."""
    return keypoints[:, list(MIRROR_COCO17)] * keypoints.new_tensor([-1.0, 1.0, 1.0])


def segment_both_ways(segmenter: Callable[[Tensor], SegmenterOutput], image: Float[Tensor, "b 3 h w"]) -> Proxy:
    """What a segmenter sees in pictures of 256 px, the mean over both ways to look at them."""
    output = segmenter(torch.cat([image, image.flip(-1)]))
    parts, mirrored = part_probabilities(output).chunk(2)
    heat, mirrored_heat = output.keypoints.chunk(2)
    heat = (heat + mirrored_heat.flip(-1)[:, list(MIRROR_COCO17)]) / 2
    return Proxy((parts + mirror_parts(mirrored)) / 2, in_crop(decode_keypoints(heat)))


def in_crop(points: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
    """Points (x, y, ...) in pixels of the segmenter's input -> -1 to 1 across the crop, as the fitter takes them."""
    return torch.cat([points[..., :2] * (2 / INPUT_SIZE) - 1, points[..., 2:]], dim=-1)


def in_pixels(points: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
    """The inverse of `in_crop`."""
    return torch.cat([(points[..., :2] + 1) * (INPUT_SIZE / 2), points[..., 2:]], dim=-1)


class Reading(NamedTuple):
    """What a fitter makes of a proxy and of its mirror image: the mean of both answers, and how far they are apart.

    joints: x, y of the 24 joints in the crop (-1 to 1) and the log of their spread, as its joint maps have them.
    turns: rotation vectors between the two answers for each joint's frame in the camera, radians. moves: between the
    joints' places. betas: between the shapes. scale: log of the ratio of the scales.
    """

    body: FitterOutput
    joints: Float[Tensor, "b 24 3"]
    turns: Float[Tensor, "b 24 3"]
    moves: Float[Tensor, "b 24 2"]
    betas: Float[Tensor, "b s"]
    scale: Float[Tensor, " b"]

    def cpu(self) -> "Reading":
        """The same on the CPU."""
        return Reading(FitterOutput(*(value.cpu() for value in self.body)), *(value.cpu() for value in self[1:]))


def read_both_ways(fitter: Callable[[Proxy], tuple[FitterOutput, JointMaps]], proxy: Proxy) -> Reading:
    """Body parameters of a proxy, the mean over both ways; of rotations in the camera frame, the chordal mean.

    The chordal mean is the rotation nearest to the sum (Hartley et al. 2013, "Rotation averaging", section 5.3).
    """
    mirrored = Proxy(mirror_parts(proxy.parts), mirror_keypoints(proxy.keypoints))
    both, maps = fitter(Proxy(*(torch.cat(pair) for pair in zip(proxy, mirrored))))
    direct, back = (FitterOutput(*answers) for answers in zip(*(value.chunk(2) for value in both)))
    flip = back.offset.new_tensor([-1.0, 1.0])
    here, there = world_rotations(direct.rotations), world_rotations(mirror_rotations(back.rotations))
    body = FitterOutput(
        betas=(direct.betas + back.betas) / 2,
        rotations=local_rotations(project_to_rotation(here + there)),
        scale=(direct.scale * back.scale).sqrt(),
        offset=(direct.offset + back.offset * flip) / 2,
    )
    places, other_places = maps.places.chunk(2)
    other_places = other_places[:, list(MIRROR_SMPL24)] * flip
    spreads, other_spreads = maps.spreads.chunk(2)
    spread = (spreads + other_spreads[:, list(MIRROR_SMPL24)]) / 2
    return Reading(
        body=body,
        joints=torch.cat([(places + other_places) / 2, spread[..., None]], dim=-1),
        turns=axis_angle_from_matrix(here @ there.mT),
        moves=places - other_places,
        betas=direct.betas - back.betas,
        scale=(direct.scale / back.scale).log(),
    )


def fit_both_ways(fitter: Callable[[Proxy], tuple[FitterOutput, JointMaps]], proxy: Proxy) -> FitterOutput:
    """The body of `read_both_ways` alone."""
    return read_both_ways(fitter, proxy).body
