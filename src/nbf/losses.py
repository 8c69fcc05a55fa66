"""Training residuals as pure functions: unreduced, so that the caller decides on weights and masks.

Every function returns one non-negative number per thing compared; `weighted_mean` reduces.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

# Joints nearer than this to the camera plane (metres) are projected as if they were this far away.
NEAREST = 0.1
# Width of the quadratic bottom of the 2D residual, in crop sides: one pixel of a 256 px crop.
CHARBONNIER = 1.0 / 256.0
# Zhou et al. 2019, "Objects as points", equation 1.
FOCAL_ALPHA, FOCAL_BETA = 2.0, 4.0


def weighted_mean(residual: Tensor, weight: Tensor | None = None) -> Float[Tensor, ""]:
    """Mean of a residual under weights of a shape that broadcasts to its own; zero where all weights are zero."""
    if weight is None:
        return residual.mean()
    weight = weight.to(residual.dtype).expand_as(residual)
    return (residual * weight).sum() / weight.sum().clamp(min=1e-6)


def latent(predicted: Float[Tensor, "*n"], true: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """L_lat: absolute difference of shape coefficients or rotation entries (Omran et al. 2018, section 3.3)."""
    return (predicted - true).abs()


def points_3d(
    predicted: Float[Tensor, "b n 3"],
    true: Float[Tensor, "b n 3"],
    predicted_root: Float[Tensor, "b 3"],
    true_root: Float[Tensor, "b 3"],
) -> Float[Tensor, "b n"]:
    """L_3D: L1 distance in metres of joints or vertices relative to the root joint (Omran et al. 2018, section 3.3)."""
    relative = (predicted - predicted_root[:, None]) - (true - true_root[:, None])
    return relative.abs().sum(-1)


def points_2d(
    predicted: Float[Tensor, "b n 2"], true: Float[Tensor, "b n 2"], size: float | int, quadratic: float = CHARBONNIER
) -> Float[Tensor, "b n"]:
    """L_2D: distance of projected points in crop sides (Omran et al. 2018, section 3.3); pixels divided by `size`.

    Charbonnier's robust form (Charbonnier et al. 1994): quadratic near zero, linear further out.
    """
    squared = ((predicted - true) / size).square().sum(-1)
    return (squared + quadratic**2).sqrt() - quadratic


def in_front(points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
    """Camera points moved to at least NEAREST in front of the camera, so that their projection stays finite."""
    return torch.cat([points[..., :2], points[..., 2:].clamp(min=NEAREST)], dim=-1)


def part_cross_entropy(logits: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
    """Cross entropy of each pixel against soft labels, i.e. shares of each part in the pixel."""
    return -(target * F.log_softmax(logits, dim=1)).sum(1)


def merged_part_cross_entropy(
    logits: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"], members: Int[Tensor, "g m"]
) -> Float[Tensor, "b h w"]:
    """Cross entropy after summing the probabilities of the classes of each group; `members` as of `group_members`.

    For labels that know the group but not the class (Zhao et al. 2020, "Object detection with a unified label space",
    use the same sum for ambiguous labels). Sums of probabilities are logsumexps of logits, so no probability is ever
    formed that could underflow.
    """
    absent = (members < 0)[None, :, :, None, None]
    picked = logits[:, members.clamp(min=0)].masked_fill(absent, -torch.inf)
    log_probability = picked.logsumexp(2) - logits.logsumexp(1, keepdim=True)
    merged = target[:, members.clamp(min=0)].masked_fill(absent, 0.0).sum(2)
    return -(merged * log_probability).sum(1)


def group_members(groups: Int[Tensor, " c"]) -> Int[Tensor, "g m"]:
    """Row g lists the classes c with `groups[c] == g`, padded with -1."""
    lists = [(groups == group).nonzero()[:, 0] for group in range(int(groups.max()) + 1)]
    return torch.nn.utils.rnn.pad_sequence(lists, batch_first=True, padding_value=-1)


def gaussian_maps(
    keypoints: Float[Tensor, "b k 2"], size: int, stride: int, sigma: float
) -> Float[Tensor, "b k size size"]:
    """exp(-d^2 / 2 sigma^2) of every cell to keypoints in input pixels; `sigma` in cells, centres at half-integers."""
    cells = torch.arange(size, device=keypoints.device, dtype=keypoints.dtype) + 0.5
    x, y = (keypoints / stride).unbind(-1)
    column = torch.exp(-0.5 * ((cells - x[..., None]) / sigma) ** 2)
    row = torch.exp(-0.5 * ((cells - y[..., None]) / sigma) ** 2)
    return row[..., :, None] * column[..., None, :]


def heatmap_cross_entropy(
    logits: Float[Tensor, "b k size size"], keypoints: Float[Tensor, "b k 2"], stride: int, sigma: float = 1.5
) -> Float[Tensor, "b k"]:
    """Cross entropy of a spatial softmax against a normalised Gaussian around the keypoint (in input pixels).

    He et al. 2017, "Mask R-CNN", section 5 (softmax over the pixels of a keypoint's map), with a soft target. Trains in
    far fewer steps than a squared error, whose gradient drowns in background. Keypoints outside the map must get weight
    zero from the caller: their target is not a distribution.
    """
    target = gaussian_maps(keypoints, logits.shape[-1], stride, sigma).flatten(2)
    target = target / target.sum(-1, keepdim=True).clamp(min=1e-6)
    entropy = -torch.special.xlogy(target, target).sum(-1)
    return -(target * logits.flatten(2).log_softmax(-1)).sum(-1) - entropy


def surface_distance(predicted: Float[Tensor, "b 3 h w"], true: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
    """L1 distance of canonical surface coordinates (Taylor et al. 2012, "The Vitruvian manifold")."""
    return (predicted - true).abs().sum(1)


def center_focal(logits: Float[Tensor, "b 1 h w"], heat: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Penalty-reduced focal loss of a centre map (Law & Deng 2018, "CornerNet", equation 1); heat is 1 at centres."""
    probability = logits.sigmoid()
    hit = -((1 - probability) ** FOCAL_ALPHA) * F.logsigmoid(logits)
    miss = -((1 - heat) ** FOCAL_BETA) * probability**FOCAL_ALPHA * F.logsigmoid(-logits)
    return torch.where(heat >= 1.0, hit, miss)


def box_giou(predicted: Float[Tensor, "*n 4"], true: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """1 - generalised intersection over union of boxes x0, y0, x1, y1 (Rezatofighi et al. 2019, algorithm 1)."""
    shared = _area(torch.maximum(predicted[..., :2], true[..., :2]), torch.minimum(predicted[..., 2:], true[..., 2:]))
    hull = _area(torch.minimum(predicted[..., :2], true[..., :2]), torch.maximum(predicted[..., 2:], true[..., 2:]))
    union = _area(predicted[..., :2], predicted[..., 2:]) + _area(true[..., :2], true[..., 2:]) - shared
    union, hull = union.clamp(min=1e-7), hull.clamp(min=1e-7)
    return 1 - shared / union + (hull - union) / hull


def _area(low: Float[Tensor, "*n 2"], high: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n"]:
    return (high - low).clamp(min=0).prod(-1)


def keep_real_apart(
    exact: Float[Tensor, "b h w"], merged: Float[Tensor, "b h w"], real: Bool[Tensor, " b"]
) -> Float[Tensor, "b h w"]:
    """The merged residual for real photos, whose front/back labels nobody has verified; the exact one for others."""
    return torch.where(real[:, None, None], merged, exact)
