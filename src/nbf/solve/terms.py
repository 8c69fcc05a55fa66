"""Residuals as pure functions: what the solver makes small. Each gives one `Block` in standard deviations.

Lengths on the picture are in the camera's own pixels; metres and radians elsewhere. A weight of zero switches a
residual off for a person; weights multiply residuals, so they act squared.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from nbf.body.anatomy import angles_and_jacobian, angles_from_quaternion, inverse_right_jacobian, limits
from nbf.body.bodies import SHAPE_START, Bodies
from nbf.body.landmarks import Placed
from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.geometry import Camera
from nbf.geometry.products import by_matrix, by_vectors
from nbf.geometry.quaternions import quaternion_from_matrix, rotation_vector
from nbf.solve.levenberg import Block
from nbf.solve.maps import Fields

HEIGHT_SIGMA = 0.01
"""Metres by which a height that somebody gives may be wrong."""
_LIMIT_SIGMA = 0.06  # radians beyond a joint's limit that count as one; as tools/ik.py
_EACH_JOINT = torch.eye(24)[:, None, :, None]


def project(placed: Placed, camera: Camera) -> Placed:
    """Pixels of points, (b, n, 2), with their Jacobian."""
    points, focal = placed.points, camera.focal[..., None, None]
    pixels = camera.project(points)
    if placed.jacobian is None:
        return Placed(pixels, None)
    depth, away = points[..., 2:, None], (points[..., :2] / points[..., 2:])[..., None]
    jacobian = torch.addcmul(placed.jacobian[..., :2, :], away, placed.jacobian[..., 2:, :], value=-1)
    return Placed(pixels, jacobian * (focal[..., None] / depth))


def points_2d(
    pixels: Placed, targets: Float[Tensor, "b n d"], weights: Float[Tensor, "b n"], robust: float | None
) -> Block:
    """Projected points against where they were seen: keypoints, or surface correspondences (Güler et al. 2018).

    `weights` are one over the standard deviation in pixels.
    """
    scale = weights[..., None]
    jacobian = None if pixels.jacobian is None else pixels.jacobian * scale[..., None]
    return Block((pixels.points - targets) * scale, jacobian, robust)


def points_3d(
    placed: Placed, targets: Float[Tensor, "b n 3"], weights: Float[Tensor, "b n"], robust: float | None = None
) -> Block:
    """Points against known places in camera metres; `weights` are one over the standard deviation in metres."""
    return points_2d(placed, targets, weights, robust)


def inside(
    pixels: Placed,
    fields: Fields,
    channel: Int64[Tensor, "b n"],
    weights: Float[Tensor, "b n"],
    robust: float | None,
) -> Block:
    """How far projected points lie outside of the region where their part (`channel`) was seen; nothing inside of it.

    A one-way chamfer distance through a distance field (Barrow et al. 1977, "Parametric correspondence and chamfer
    matching"). `weights` are one over the standard deviation in pixels.
    """
    distance, gradient = fields.read(pixels.points, channel)
    scale = weights[..., None]
    jacobian = None
    if pixels.jacobian is not None:
        jacobian = (gradient[..., None, :] @ pixels.jacobian) * scale[..., None]
    return Block(distance[..., None] * scale, jacobian, robust)


def along_normals(
    pixels: Placed,
    vertex: Int64[Tensor, "b m"],
    targets: Float[Tensor, "b m 2"],
    normals: Float[Tensor, "b m 2"],
    weights: Float[Tensor, "b m"],
    robust: float | None,
) -> Block:
    """Distance of matched outline points (`vertex`) from the tangents of the mask's outline (Chen & Medioni 1992).

    `weights` are one over the standard deviation in pixels.
    """
    picked = pixels.points.gather(1, vertex[..., None].expand(-1, -1, 2))
    distance = ((picked - targets) * normals).sum(-1, keepdim=True)
    jacobian = None
    if pixels.jacobian is not None:
        rows = pixels.jacobian.gather(1, vertex[..., None, None].expand(-1, -1, *pixels.jacobian.shape[2:]))
        jacobian = normals[..., None, :] @ rows * weights[..., None, None]
    return Block(distance * weights[..., None], jacobian, robust)


def along(placed: Placed, direction: Float[Tensor, " 3"], weights: Float[Tensor, " n"], robust: float | None) -> Block:
    """How far vectors reach along a direction in which they should not.

    Level ground: the vector between two feet along gravity. Upright: the trunk along the horizontal line of sight.
    `weights` are one over the standard deviation in the vectors' unit.
    """
    jacobian = None
    if placed.jacobian is not None:
        jacobian = (direction @ placed.jacobian)[..., None, :] * weights[:, None, None]
    return Block((placed.points @ direction * weights)[..., None], jacobian, robust)


def pose(state: Bodies, mixture: PosePrior, weight: float, jacobian: bool) -> Block:
    """The pose under mixtures of Gaussians over the anatomical angles of each limb, and the joint limits beside them.

    The nearest component stands for the sum, with an extra residual for its rarity (Bogo et al. 2016, "Keep it SMPL",
    section 3.2).
    """
    q, change = quaternion_from_matrix(state.rotations), None
    if jacobian:
        angles, own = angles_and_jacobian(q)
        change = _on_the_diagonal(own)
    else:
        angles = angles_from_quaternion(q)
    low, high = limits(q.device, q.dtype).unbind(-1)
    over = ((angles - angles.clamp(low, high)) / _LIMIT_SIGMA)[:, 1:].flatten(1)
    limbs = [limb.whitened(angles) for limb in mixture.limbs]
    held = torch.cat([value for held, _, rarity in limbs for value in (held, rarity[:, None])], 1)
    values, columns = torch.cat([held * weight, over], 1), None
    if change is not None:
        rows = [
            functional.pad(slope * weight @ change.index_select(1, limb.columns.to(q.device)), (0, 0, 0, 1))
            for limb, (_, slope, _) in zip(mixture.limbs, limbs)
        ]
        rows.append(change[:, 3:] * ((over != 0)[..., None] / _LIMIT_SIGMA))
        columns = functional.pad(torch.cat(rows, 1), (0, state.freedoms - change.shape[2]))[:, None]
    return Block(values[:, None], columns)


def _on_the_diagonal(own: Float[Tensor, "b 24 3 3"]) -> Float[Tensor, "b 72 72"]:
    """Jacobian of values of which each depends on the turn of its own joint only."""
    return (own[:, :, :, None] * _EACH_JOINT.to(own)).view(-1, 72, 72)


def shape(state: Bodies, weight: float, jacobian: bool) -> Block:
    """Betas are standard deviations already."""
    b, s = state.betas.shape
    columns = None
    if jacobian:
        own = weight * torch.eye(s).to(state.betas)
        columns = functional.pad(own, (SHAPE_START, 0)).expand(b, 1, -1, -1)
    return Block(state.betas[:, None] * weight, columns)


def shape_among(state: Bodies, mean: Float[Tensor, "b s"], root: Float[Tensor, "b s s"], jacobian: bool) -> Block:
    """Betas as those of people like each of these: `root` is one of the precision, R^T R, zero where nobody knows."""
    root, columns = root.to(state.betas), None
    if jacobian:
        columns = functional.pad(root, (SHAPE_START, 0))[:, None]
    return Block(by_vectors(root, state.betas - mean)[:, None], columns)


def height(state: Bodies, body: BodyModel, heights: Float[Tensor, " b"], sigma: float, jacobian: bool) -> Block:
    """Heights of the T-posed bodies (crown to sole) against known ones in metres; nan where nobody knows."""
    known = heights.isfinite()
    measured, slopes = height_and_slopes(body, state.betas)
    values = torch.where(known, (measured - heights) / sigma, 0.0)
    columns = None
    if jacobian:
        columns = functional.pad(slopes / sigma * known[:, None], (SHAPE_START, 0))[:, None, None]
    return Block(values[:, None, None], columns)


def height_and_slopes(body: BodyModel, betas: Float[Tensor, "b s"]) -> tuple[Float[Tensor, " b"], Float[Tensor, "b s"]]:
    """Heights of T-posed bodies in metres (`nbf.body.measure.height`), and their derivatives by the betas."""
    slopes = body.shape_dirs[:, 1]
    up = body.template[:, 1] + by_matrix(betas, slopes.T)
    (highest, top), (lowest, bottom) = up.max(1), up.min(1)
    return highest - lowest, slopes[top] - slopes[bottom]


def near_start(
    state: Bodies, start: Bodies, weights: Float[Tensor, " 24"], robust: float | None, jacobian: bool
) -> Block:
    """Turn of each joint since the start; `weights` are one over the standard deviation in radians."""
    turn = rotation_vector(quaternion_from_matrix(start.rotations.mT @ state.rotations))
    if not jacobian:
        return Block(turn * weights[:, None], None, robust)
    columns = _on_the_diagonal(inverse_right_jacobian(turn) * weights[:, None, None])
    columns = functional.pad(columns, (0, state.freedoms - columns.shape[2])).unflatten(1, (24, 3))
    return Block(turn * weights[:, None], columns, robust)


def above_ground(
    placed: Placed,
    normal: Float[Tensor, "b 3"],
    offset: Float[Tensor, " b"],
    weights: Float[Tensor, "b n"],
    robust: float | None = None,
) -> Block:
    """How far points lie below the ground, the plane of all x with `normal` . x = `offset`; nothing above it.

    The unit `normal` points up, the `offset` is in metres. `weights` are one over the standard deviation in metres.
    """
    depth = (offset[:, None] - (placed.points @ normal[..., None])[..., 0]).clamp_min(0)
    jacobian = None
    if placed.jacobian is not None:
        columns = (normal[:, None, None] @ placed.jacobian) * (depth > 0)[..., None, None]
        jacobian = -columns * weights[..., None, None]
    return Block((depth * weights)[..., None], jacobian, robust)


def apart(
    placed: Placed, pairs: Int64[Tensor, "m 2"], radii: Float[Tensor, "b n"], weights: Float[Tensor, "b m"]
) -> Block:
    """How deep spheres about the points sink into each other, pair by pair; nothing where they do not touch.

    Spheres instead of the surface as Bogo et al. 2016, "Keep it SMPL", section 3.2. `radii` are in metres, `weights`
    one over the standard deviation in metres. `nbf.solve.spheres` has a body's spheres.
    """
    one, other = pairs.unbind(1)
    between = placed.points[:, one] - placed.points[:, other]
    distance = between.norm(dim=-1)
    depth = (radii[:, one] + radii[:, other] - distance).clamp_min(0)
    jacobian = None
    if placed.jacobian is not None:
        away = between / distance.clamp_min(1e-6)[..., None] * ((depth > 0) * weights)[..., None]
        jacobian = away[..., None, :] @ (placed.jacobian[:, other] - placed.jacobian[:, one])
    return Block((depth * weights)[..., None], jacobian)


def steady(
    placed: Placed, before: Float[Tensor, "b n 3"], weights: Float[Tensor, "b n"], robust: float | None = None
) -> Block:
    """Points near to where they were in the frame `before`, camera metres.

    `weights` are one over the standard deviation in metres of what moves from a frame to the next.
    """
    return points_3d(placed, before, weights, robust)
