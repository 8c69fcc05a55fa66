"""Ask a network twice, of a picture and of its mirror image, and take the mean of the two answers.

Left and right are then treated alike by construction, and two looks err less than one.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import local_rotations, mirror_rotations, world_rotations
from nbf.body.parts import MIRROR24
from nbf.geometry.rotations import project_to_rotation
from nbf.nets.fitter import FitterOutput
from nbf.nets.segmenter import SegmenterOutput, part_probabilities


def mirror_parts(parts: Float[Tensor, "b 25 h w"]) -> Float[Tensor, "b 25 h w"]:
    """The part map of the mirrored picture: columns reversed, left and right parts exchanged."""
    return parts.flip(-1)[:, list(MIRROR24)]


def segment_both_ways(
    segmenter: Callable[[Tensor], SegmenterOutput], image: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, "b 25 i j"]:
    """Part probabilities of a picture, the mean over both ways to look at it."""
    direct, mirrored = part_probabilities(segmenter(torch.cat([image, image.flip(-1)]))).chunk(2)
    return (direct + mirror_parts(mirrored)) / 2


def fit_both_ways(fitter: Callable[[Tensor], FitterOutput], proxy: Float[Tensor, "b 25 h w"]) -> FitterOutput:
    """Body parameters of a part map, the mean over both ways; of rotations in the camera frame, the chordal mean.

    The chordal mean is the rotation nearest to the sum (Hartley et al. 2013, "Rotation averaging", section 5.3).
    """
    both = fitter(torch.cat([proxy, mirror_parts(proxy)]))
    direct, back = (FitterOutput(*answers) for answers in zip(*(value.chunk(2) for value in both)))
    world = world_rotations(direct.rotations) + world_rotations(mirror_rotations(back.rotations))
    return FitterOutput(
        betas=(direct.betas + back.betas) / 2,
        rotations=local_rotations(project_to_rotation(world)),
        scale=(direct.scale * back.scale).sqrt(),
        offset=(direct.offset + back.offset * back.offset.new_tensor([-1.0, 1.0])) / 2,
    )
