"""Regress: a network's answer, the mean over the evidence and its mirror image (Omran et al. 2018, section 3)."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.joints import MIRROR_SMPL24, local_rotations, mirror_rotations, world_rotations
from nbf.errors import InputError
from nbf.geometry import axis_angle_from_matrix, project_to_rotation, translation_from_crop_camera
from nbf.known import NOTHING, Known
from nbf.nets.blocks import for_inference
from nbf.nets.fitter import Fitter, FitterInput, JointMaps
from nbf.nets.mean_body import FitterOutput
from nbf.nets.mirror import from_sides, mirror_keypoints, mirror_parts
from nbf.proxy.proxy import Proxy
from nbf.solve.fit import Fit, Reading

FLIP = (-1.0, 1.0)
"""What the mirror makes of x and y in the crop, from -1 to 1."""


class Regress:
    """Bodies straight from a fitter; what is known of the people does not reach it."""

    def __init__(
        self,
        fitter: Callable[[FitterInput], tuple[FitterOutput, JointMaps]],
        device: torch.device | str = "cpu",
    ) -> None:
        """`fitter` is the network, or what another runtime makes of it."""
        self.device = torch.device(device)
        # In float32 on every machine: rotations show errors that part maps do not.
        if isinstance(fitter, Fitter):
            fitter = partial(_lifted_alone, for_inference(fitter).to(self.device))
        self.fitter = fitter

    @torch.no_grad()
    def __call__(self, proxy: Proxy, known: Known = NOTHING) -> Fit:
        """Raises InputError where nobody has looked for parts."""
        if proxy.parts is None:
            raise InputError("proxy: expected part maps, which a fitter reads, got none; use a method that sees parts")
        seen = FitterInput.of_parts(proxy.parts)
        if proxy.joints is not None:
            seen = seen._replace(keypoints=from_sides(proxy.joints))
        output, reading = read_both_ways(self.fitter, FitterInput(*(value.to(self.device) for value in seen)))
        output, reading = FitterOutput(*map(Tensor.cpu, output)), Reading(*map(Tensor.cpu, reading))
        pelvis = translation_from_crop_camera(output.scale, output.offset, proxy.camera, resolution=1)
        return Fit(Bodies(output.betas, output.rotations, pelvis), reading=reading)


def _lifted_alone(fitter: Fitter, seen: FitterInput) -> tuple[FitterOutput, JointMaps]:
    """As the fitter, of people and then their mirror images; but each is lifted with their mirror image alone, to come
    out the same whoever is beside them (`nbf.geometry.products`)."""
    findings, maps = fitter.find(seen)
    count = len(seen.parts) // 2
    lifted = [fitter.lift(findings.at(torch.tensor([i, i + count]))) for i in range(count)]
    if not lifted:
        return fitter(seen)
    bodies, places = zip(*lifted)

    def in_order(pairs: Iterable[Tensor]) -> Tensor:
        return torch.stack(list(pairs), 1).flatten(0, 1)

    return FitterOutput(*map(in_order, zip(*bodies))), maps._replace(places=in_order(places))


def read_both_ways(
    fitter: Callable[[FitterInput], tuple[FitterOutput, JointMaps]], seen: FitterInput
) -> tuple[FitterOutput, Reading]:
    """A fitter's answers for what is seen and for its mirror image: their mean, and how far they are apart."""
    mirrored = FitterInput(mirror_parts(seen.parts), mirror_keypoints(seen.keypoints))
    both, maps = fitter(FitterInput(*(torch.cat(pair) for pair in zip(seen, mirrored))))
    direct, back = (FitterOutput(*answers) for answers in zip(*(value.chunk(2) for value in both)))
    here, there = world_rotations(direct.rotations), world_rotations(mirror_rotations(back.rotations))
    body = _mean(direct, back, here + there)
    flip = back.offset.new_tensor(FLIP)
    places, other_places = maps.places.chunk(2)
    other_places = other_places[:, list(MIRROR_SMPL24)] * flip
    spreads, other_spreads = maps.spreads.chunk(2)
    spread = (spreads + other_spreads[:, list(MIRROR_SMPL24)]) / 2
    reading = Reading(
        joints=torch.cat([(places + other_places) / 2, spread[..., None]], dim=-1),
        turns=axis_angle_from_matrix(here @ there.mT),
        moves=places - other_places,
        betas=direct.betas - back.betas,
        scale=(direct.scale / back.scale).log(),
    )
    return body, reading


def mean_of_both(direct: FitterOutput, back: FitterOutput) -> FitterOutput:
    """The mean of the answers for a picture and for its mirror image.

    Of rotations in the camera frame the chordal mean, the rotation nearest to the sum (Hartley et al. 2013, "Rotation
    averaging", section 5.3).
    """
    return _mean(direct, back, world_rotations(direct.rotations) + world_rotations(mirror_rotations(back.rotations)))


def _mean(direct: FitterOutput, back: FitterOutput, sum_of_rotations: Float[Tensor, "n 24 3 3"]) -> FitterOutput:
    return FitterOutput(
        betas=(direct.betas + back.betas) / 2,
        rotations=local_rotations(project_to_rotation(sum_of_rotations)),
        scale=(direct.scale * back.scale).sqrt(),
        offset=(direct.offset + back.offset * back.offset.new_tensor(FLIP)) / 2,
    )
