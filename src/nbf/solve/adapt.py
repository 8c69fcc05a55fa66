"""Adapt: a network that learns from each person's own evidence before it answers (Tung et al. 2017, "Self-supervised
learning of motion capture")."""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from nbf import losses
from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel
from nbf.geometry import Camera, translation_from_crop_camera
from nbf.known import NOTHING, Known
from nbf.nets.mean_body import FitterOutput
from nbf.nets.regressor import Regressor
from nbf.proxy.proxy import Proxy, mirrored, stacked
from nbf.proxy.shown import joint_maps_and_silhouette
from nbf.solve.answer import Answer
from nbf.solve.fit import Fit
from nbf.solve.maps import distance_to
from nbf.solve.regress import mean_of_both

STEPS, RATE = 30, 1e-4
SILHOUETTE = 1.0
"""Weight of the silhouette beside the joints."""
CELLS = 128
"""Of the silhouette that look for the body, at most: others would only repeat them."""


class Adapt:
    """Bodies from a network that, for each person anew, is trained for a moment to project where joints and silhouette
    are seen. No 3D labels are needed for that; what the network knew of bodies before keeps them human.

    Tung et al. also make the optical flow between frames agree, which single photos do not have.
    """

    def __init__(self, network: Regressor, body: BodyModel, *, steps: int = STEPS, rate: float = RATE) -> None:
        self.answer = Answer(network, joint_maps_and_silhouette)
        self.body, self.steps, self.rate = body, steps, rate

    def __call__(self, proxy: Proxy, known: Known = NOTHING) -> Fit:
        """Raises InputError where something is known, which this solver has no use for, and where joints or silhouette
        are missing."""
        fit = self.answer(proxy, known)
        rows = [self._adapted(proxy[i : i + 1]) for i in range(len(proxy))]
        bodies = Bodies(*(torch.cat(values) for values in zip(*(vars(row).values() for row in rows))))
        return Fit(bodies, joint_error=fit.joint_error, shape_covariance=fit.shape_covariance, start=fit.bodies)

    def _adapted(self, proxy: Proxy) -> Bodies:
        """One person, whose mirror image is a second one for the network."""
        both = stacked(proxy, mirrored(proxy))
        (maps,) = joint_maps_and_silhouette(both)
        evidence = Evidence.of(both)
        network = copy.deepcopy(self.answer.network).requires_grad_(True)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.rate)
        with torch.enable_grad():
            for _ in range(self.steps):
                output = network(maps)
                loss = misfit(self.body, placed(output, both.camera), evidence).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            here, there = (FitterOutput(*(value[i : i + 1] for value in network(maps))) for i in (0, 1))
            return placed(mean_of_both(here, there), proxy.camera)


@dataclass(frozen=True)
class Evidence:
    """Where n people are seen, in crop sides."""

    camera: Camera
    joints: Float[Tensor, "n 17 3"]
    away: Float[Tensor, "n 64 64"]
    """Distance of each cell from the silhouette."""
    cells: Float[Tensor, "n k 3"]
    """Cells of the silhouette, x and y, and 1; 0 where there are fewer."""

    @classmethod
    def of(cls, proxy: Proxy) -> "Evidence":
        """Of a proxy with joints and silhouette."""
        assert proxy.joints is not None
        assert proxy.silhouette is not None
        person = proxy.silhouette > 0.5
        side = person.shape[-1]
        cells = proxy.joints.new_zeros(len(person), CELLS, 3)
        for row, mask in zip(cells, person):
            found = mask.nonzero()
            chosen = found[torch.linspace(0, len(found) - 1, min(CELLS, len(found))).long()]
            row[: len(chosen), :2], row[: len(chosen), 2] = (chosen.flip(-1) + 0.5) / side, 1
        away = ((distance_to(person) - 0.5) / side).clamp(0, 1)
        return cls(proxy.camera, proxy.joints, away, cells)


def placed(output: FitterOutput, camera: Camera) -> Bodies:
    """Bodies before the camera of the crops."""
    return Bodies(output.betas, output.rotations, translation_from_crop_camera(output.scale, output.offset, camera, 1))


def misfit(body: BodyModel, bodies: Bodies, seen: Evidence) -> Float[Tensor, " n"]:
    """How far bodies are from what is seen, crop sides: the joints, by how sure they are; the surface from the
    silhouette, and the silhouette from the surface (chamfer distances)."""
    posed = bodies.posed(body)
    joints = seen.camera.project(losses.in_front(body.keypoints(posed, "coco17")))
    surface = seen.camera.project(losses.in_front(posed.vertices))
    weight = seen.joints[..., 2]
    apart = losses.points_2d(joints, seen.joints[..., :2], 1)
    of_joints = (apart * weight).sum(1) / weight.sum(1).clamp_min(1e-3)
    outside = grid_sample(seen.away[:, None], 2 * surface[:, None] - 1, padding_mode="border", align_corners=False)
    nearest = torch.cdist(seen.cells[..., :2], surface).amin(-1)
    within = seen.cells[..., 2]
    uncovered = (nearest * within).sum(1) / within.sum(1).clamp_min(1)
    return of_joints + SILHOUETTE * (outside.flatten(1).mean(1) + uncovered)
