"""Which ways limbs can be held: a limit of the child that depends on how its parent is held.

Akhter & Black 2015, "Pose-conditioned joint angle limits for 3D human pose reconstruction", section 3, gather the
directions that stretching actors gave to a bone and, for each, those of the bone that hangs on it. Their captures and
tables are not open; what is here is ours. The directions of the two bones of a limb, as one point in six dimensions,
are compared with those of the training poses, of which a well spread few stand for all (the k centres of Gonzalez
1985): a limb is possible where one of these is as near as the most distant training pose is to its own. A forearm is
so judged together with its upper arm. The poses obey the house's own limits (`nbf.body.anatomy`) already.
"""

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from nbf.solve.lifting.basis import mirrored, point

KINDS = ("arm", "leg", "trunk", "head")
OF_CHAINS = (0, 0, 1, 1, 2, 3)
"""Kinds of the six pairs of bones: left arm, right arm, left leg, right leg, trunk, head."""
_STEP = 1e-12


def held(points: Inexact[Tensor, "*b 41 3"]) -> Inexact[Tensor, "*b 6 6"]:
    """How the limbs of a pose are held, each as two unit directions.

    Of upper arm and forearm in the chest's frame, of thigh and shin in the pelvis' frame, of the chest's axes to the
    left and up in the pelvis' frame, of neck and face in the chest's frame. Those of the right are mirrored, so that
    they compare with the left.
    """
    chest = _frame(points, "left_shoulder", "right_shoulder", "spine3", "neck")
    pelvis = _frame(points, "left_hip", "right_hip", "pelvis", "spine1")
    back = mirrored(points)
    chest_back = _frame(back, "left_shoulder", "right_shoulder", "spine3", "neck")
    pelvis_back = _frame(back, "left_hip", "right_hip", "pelvis", "spine1")
    chains = [
        _pair(points, chest, "left_shoulder", "left_elbow", "left_wrist"),
        _pair(back, chest_back, "left_shoulder", "left_elbow", "left_wrist"),
        _pair(points, pelvis, "left_hip", "left_knee", "left_ankle"),
        _pair(back, pelvis_back, "left_hip", "left_knee", "left_ankle"),
        (pelvis.mT @ chest)[..., :2].mT.flatten(-2),
        _pair(points, chest, "neck", "head", "nose"),
    ]
    return torch.stack(chains, -2)


def nearest(held: Float[Tensor, "*b 6 6"], limbs: Float[Tensor, "4 n 6"]) -> Float[Tensor, "*b 6 6"]:
    """Of the ways to hold limbs that a `PoseBasis` knows, the nearest to each."""
    known = limbs[list(OF_CHAINS)]
    rows = torch.cdist(held.flatten(0, -3).transpose(0, 1).contiguous(), known).argmin(-1)
    return known.gather(1, rows[..., None].expand(-1, -1, 6)).transpose(0, 1).unflatten(0, held.shape[:-2])


def held_slopes(points: Float[Tensor, "*b 41 3"], moves: Float[Tensor, "*b j 41 3"]) -> Float[Tensor, "*b j 6 6"]:
    """Derivatives of `held` as the points move along each of some directions.

    By complex steps, which are exact to rounding (Squire & Trapp 1998, "Using complex variables to estimate derivatives
    of real functions").
    """
    return held(torch.complex(points[..., None, :, :].expand_as(moves), _STEP * moves)).imag / _STEP


def spread_out(samples: Float[Tensor, "m 6"], count: int) -> tuple[Float[Tensor, "{count} 6"], Float[Tensor, ""]]:
    """So many of the samples that every other is near to one of them, and how near (Gonzalez 1985, "Clustering to
    minimize the maximum intercluster distance")."""
    picked = [samples[0]]
    apart = (samples - picked[0]).norm(dim=-1)
    while len(picked) < count:
        picked.append(samples[apart.argmax()])
        apart = torch.minimum(apart, (samples - picked[-1]).norm(dim=-1))
    return torch.stack(picked), apart.max()


def _frame(points: Tensor, left: str, right: str, below: str, above: str) -> Tensor:
    """Axes as columns: to the left, up, ahead."""
    across = _unit(points[..., point(left), :] - points[..., point(right), :])
    up = points[..., point(above), :] - points[..., point(below), :]
    up = _unit(up - (up * across).sum(-1, keepdim=True) * across)
    return torch.stack([across, up, torch.linalg.cross(across, up)], -1)


def _pair(points: Tensor, frame: Tensor, root: str, middle: str, end: str) -> Tensor:
    upper = _unit(points[..., point(middle), :] - points[..., point(root), :])
    lower = _unit(points[..., point(end), :] - points[..., point(middle), :])
    return (frame.mT @ torch.stack([upper, lower], -1)).mT.flatten(-2)


def _unit(vectors: Tensor) -> Tensor:
    return vectors / (vectors.square().sum(-1, keepdim=True) + 1e-12).sqrt()
