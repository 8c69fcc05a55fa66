"""What is known of an estimate besides the estimate: joints detected in 2D, and clues to how far to trust all of it."""

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.joints import world_rotations
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.nets.doubt import Clues
from nbf.nets.mirror import in_sides
from nbf.proxy.proxy import Proxy, seen_joints
from nbf.solve.fit import Reading


def detected_points(body: BodyModel) -> Landmarks:
    """The points of the body that `detections` are of: COCO's 17 keypoints, then SMPL's 24 joints."""
    return Landmarks.keypoints(body, "coco17") + Landmarks.keypoints(body, "smpl24")


def detections(reading: Reading, proxy: Proxy) -> Float[Tensor, "b 41 2"]:
    """Where the networks see these points, in crop sides."""
    return torch.cat([seen_joints(proxy)[..., :2], in_sides(reading.joints)[..., :2]], dim=1)


def clues(points: Landmarks, start: Bodies, reading: Reading, proxy: Proxy, seen: Float[Tensor, "b 41 2"]) -> Clues:
    """Clues of b people: logs of what the two looks disagree about and of how far the estimate's own projections of
    `points` are from the detections `seen`; scores, spreads, sizes of parts and how sure their pixels are."""
    assert proxy.parts is not None  # or there would be no reading
    missed = (seen - proxy.camera.project(place(points, start, jacobian=False).points)).norm(dim=-1)
    scores = seen_joints(proxy)[..., 2]
    given = (scores > 0).any(1)
    keypoints, joints = missed.split((17, 24), dim=1)
    away = world_rotations(start.rotations)[..., 2, 1]  # whether a limb points at the camera
    score = scores.clamp(1e-3, 1 - 1e-3).logit()
    return Clues(
        joints=torch.stack(
            [
                reading.joints[..., 2],
                (reading.turns.norm(dim=-1) + 0.02).log(),
                (reading.moves.norm(dim=-1) + 0.005).log(),
                (joints + 0.003).log(),
                away,
            ],
            dim=-1,
        ),
        keypoints=torch.stack([score, (keypoints + 0.003).log()], dim=-1) * given[:, None, None],
        parts=_sizes_and_sureness(proxy.parts),
        whole=torch.stack(
            [(reading.betas.norm(dim=-1) + 0.05).log(), (reading.scale.abs() + 0.01).log(), given.float()], dim=-1
        ),
    )


def _sizes_and_sureness(parts: Float[Tensor, "b 25 h w"]) -> Float[Tensor, "b 24 2"]:
    """Of each part: root of its share of the map, and the mean probability of what its pixels most likely are."""
    body, best = parts[:, 1:], parts.amax(1, keepdim=True)
    area = body.sum((-2, -1))
    size = (area / (parts.shape[-1] * parts.shape[-2])).sqrt()
    return torch.stack([size, (body * best).sum((-2, -1)) / (area + 1.0)], dim=-1)
