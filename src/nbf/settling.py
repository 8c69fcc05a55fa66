"""From what the networks saw of people to the people: refined bodies, and how sure they are."""

import logging
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import SHAPE_START
from nbf.body.model import BodyOutput
from nbf.certainty import Certainty
from nbf.geometry import Camera, Crop
from nbf.nets.fitter import Proxy
from nbf.nets.mirror import Reading, in_pixels
from nbf.people import PartMap, People, Person
from nbf.pictures import Picture
from nbf.solve.levenberg import REASONS
from nbf.solve.optimise import STEPS, Given, Refined, Refiner
from nbf.solve.uncertainty import cells_beyond, joint_sigmas, part_evidence

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Observation:
    """People in one picture as the networks see them, before a body is settled on."""

    picture: Picture
    camera: Camera
    """Of the picture, pixels."""
    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, " n"]
    crops: Crop
    proxy: Proxy
    reading: Reading
    given: Given
    """What is known besides."""


def keypoints_seen(proxy: Proxy, crops: Crop) -> Float[Tensor, "n 17 3"]:
    """COCO-17 as the segmenter saw them in crops: x, y in pixels of the picture, and a score."""
    keypoints = in_pixels(proxy.keypoints)
    return torch.cat([crops.to_image(keypoints[..., :2]), keypoints[..., 2:]], dim=-1)


@torch.no_grad()
def settle(seen: Observation, refiner: Refiner, body_name: str, *, refine: bool = True) -> People:
    """Bodies for what was seen, or what the fitter says where `refine` is off; `body_name` is the body model's."""
    camera = seen.crops.camera(seen.camera).scaled(1 / seen.crops.resolution)
    estimate = refiner.estimate(seen.reading, seen.proxy, camera)
    found = refiner.refine(estimate, seen.given, steps=STEPS if refine else 0)
    for before, after, reason in zip(found.report.before, found.report.after, found.report.reason):
        log.info("%s: residuals %.1f -> %.1f, %s", seen.picture.name, before, after, REASONS[int(reason)])
    body, state = refiner.body, found.state
    translation, posed = state.translation(body), state.posed(body)
    places = keypoints_seen(seen.proxy, seen.crops)
    certainties = _certainties(seen, camera, refiner, found)
    persons = tuple(
        Person(
            betas=state.betas[i],
            rotations=state.rotations[i],
            translation=translation[i],
            camera=seen.camera,
            box=seen.boxes[i],
            score=float(seen.scores[i]),
            parts=PartMap(seen.proxy.parts[i], Crop(seen.crops.center[i], seen.crops.size[i], seen.crops.resolution)),
            keypoints=places[i],
            body=body,
            body_name=body_name,
            posed=BodyOutput(posed.vertices[i], posed.joints[i], posed.transforms[i]),
            certainty=certainties[i],
            picture=seen.picture,
        )
        for i in range(len(seen.boxes))
    )
    return People(persons, seen.picture, seen.camera)


def _certainties(seen: Observation, camera: Camera, refiner: Refiner, found: Refined) -> list[Certainty]:
    doubt, state = refiner.doubt, found.state
    errors = joint_sigmas(refiner.joints, state, found.covariance) * doubt.joint_factor
    beyond = cells_beyond(seen.crops, seen.proxy.parts.shape[-1], seen.picture.width, seen.picture.height)
    evidence = part_evidence(refiner.body, state, camera, seen.proxy.parts, beyond)
    shapes = found.covariance[:, SHAPE_START:, SHAPE_START:] * doubt.shape_factor**2
    rows = zip(errors, evidence.cells, evidence.seen, evidence.cut, evidence.entropy, evidence.guessed(), shapes)
    return [Certainty(*row) for row in rows]
