"""How far off each joint may be, and how much of each body part the picture shows."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.geometry import Camera
from nbf.raster import rasterize
from nbf.refine.landmarks import Landmarks, place
from nbf.refine.state import BodyState


def joint_sigmas(joints: Landmarks, state: BodyState, covariance: Float[Tensor, "b p p"]) -> Float[Tensor, "b n"]:
    """Standard deviation in metres of each joint's place relative to the pelvis (joint 0): root of the trace of its
    3x3 covariance, by linear propagation of the covariance of a step of the state."""
    jacobian = place(joints, state).jacobian
    assert jacobian is not None
    relative = jacobian - jacobian[:, :1]
    spread = torch.einsum("bnip,bpq,bniq->bn", relative, covariance, relative)
    return spread.clamp_min(0).sqrt()


@dataclass(frozen=True)
class PartEvidence:
    """What the picture shows of each of the 24 parts of b bodies, as shares of what the mesh would show unhindered.

    seen: of the part's pixels, those where the map has the person. cut: those beyond the edge of the photo. The rest
    is hidden by something. Nan where the mesh itself hides the part or turns it away.
    """

    seen: Float[Tensor, "b 24"]
    cut: Float[Tensor, "b 24"]


def part_evidence(
    body: BodyModel,
    state: BodyState,
    camera: Camera,
    parts: Float[Tensor, "b 25 h h"],
    beyond: Bool[Tensor, "b h h"],
) -> PartEvidence:
    """Compare bodies with part maps. `camera` is in crop sides; `beyond` marks cells outside of the photo."""
    side = parts.shape[-1]
    pixels = camera.scaled(side).pixels_depth(state.posed(body).vertices)
    drawn = rasterize(pixels, body.faces, side, side)
    labels = torch.where(drawn.mask, body.face_parts[drawn.face.clamp_min(0)], 0)
    shown = torch.nn.functional.one_hot(labels, 25)[..., 1:].float().flatten(1, 2)
    person = (1 - parts[:, 0]).flatten(1)
    outside = beyond.flatten(1).float()
    total = shown.sum(1)
    share = torch.einsum("bpk,bcp->bck", shown, torch.stack([person * (1 - outside), outside], 1)) / total[:, None]
    seen, cut = torch.where(total[:, None] > 0, share, torch.nan).unbind(1)
    return PartEvidence(seen, cut)
