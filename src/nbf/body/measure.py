"""Measurements of bodies as differentiable functions of their vertices and of betas.

The measurements that a tailor takes are named and defined as in ISO 8559-1:2017 (inside leg length, arm length, and
the bust, waist and hip girth). Levels of the girths lie between hip and shoulder joints where the landmarks of that
standard do on average, so that nothing depends on a mesh's topology.
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.body.joints import SMPL24
from nbf.body.model import BodyModel
from nbf.body.parts import MERGE, NAMES
from nbf.errors import InputError

MEASUREMENTS = ("height_m", "mass_kg", "chest_m", "waist_m", "hip_m", "leg_m", "arm_m")

# kg/m3, Anny's own figure (anny.anthropometry), which its weight calibration assumes.
DENSITY = 980.0

# Mean heights above the ground in mm of the 6,068 men and women of ANSUR II (Gordon et al., NATICK/TR-15/007, 2014).
# Trochanterion and acromion lie as high as the hip and shoulder joints do in a T-pose.
_TROCHANTERION, _ACROMION = 882.7, 1406.2
_BUTTOCK, _ILIAC_CREST, _TENTH_RIB, _BUST = 870.2, 1040.1, 1099.6, 1252.0
# Directions that a section's reach is summed over; the sum is within (2 pi / 256)^2 / 12 = 0.005% of the girth.
_DIRECTIONS = 256


def height(vertices: Float[Tensor, "*batch v 3"]) -> Float[Tensor, "*batch"]:
    """Height in metres of T-posed bodies (y up): crown to sole."""
    return vertices[..., 1].amax(-1) - vertices[..., 1].amin(-1)


def volume(vertices: Float[Tensor, "*batch v 3"], faces: Int64[Tensor, "f 3"]) -> Float[Tensor, "*batch"]:
    """Volume in cubic metres enclosed by faces that wind counter-clockwise seen from outside.

    Sum of signed tetrahedra (Zhang & Chen, ICIP 2001) about the mean vertex, so that small openings, such as the
    eyelids', weigh little and the value does not depend on where the body stands.
    """
    centred = vertices - vertices.mean(-2, keepdim=True)
    a, b, c = (centred.index_select(-2, corner) for corner in faces.unbind(1))
    return (torch.linalg.cross(a, b) * c).flatten(-2).sum(-1) / 6.0


def mass(vertices: Float[Tensor, "*batch v 3"], faces: Int64[Tensor, "f 3"]) -> Float[Tensor, "*batch"]:
    """Mass in kilograms: volume at Anny's density of 980 kg/m3."""
    return DENSITY * volume(vertices, faces)


def girth(vertices: Float[Tensor, "v 3"], faces: Int64[Tensor, "f 3"], level: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Length in metres of a tape drawn tight around the faces at a height y; nan where they do not reach it.

    That is the perimeter of the convex hull of the section, which is the integral over all directions of how far the
    section reaches in each (Cauchy's formula). Being sums of maxima it has the derivative of the hull's perimeter.
    """
    points = _cut(vertices, faces, 1, level)[:, ::2]
    if len(points) == 0:
        return level * math.nan
    angles = torch.arange(_DIRECTIONS, dtype=points.dtype, device=points.device) * (2 * math.pi / _DIRECTIONS)
    directions = torch.stack([angles.cos(), angles.sin()], 1)
    farthest = (directions @ points.detach().T).argmax(1)
    return (points[farthest] * directions).sum() * (2 * math.pi / _DIRECTIONS)


def measurements(body: BodyModel, betas: Float[Tensor, "*batch s"]) -> Float[Tensor, "*batch m"]:
    """What a person of each shape measures in the T-pose: `MEASUREMENTS` in that order, metres and kilograms.

    Differentiable in betas almost everywhere. Girths and legs are nan for a body that lacks the surface to measure.
    docs/body.md says how each is defined.

    Raises InputError where the number of shape components is not the model's.
    """
    rows = [torch.stack(_measure(body, body.rest_vertices(one), body.rest_joints(one))) for one in _people(body, betas)]
    return _stack(rows, betas).reshape(*betas.shape[:-1], len(MEASUREMENTS))


def measurement_jacobian(
    body: BodyModel, betas: Float[Tensor, "*batch s"]
) -> tuple[Float[Tensor, "*batch m"], Float[Tensor, "*batch m s"]]:
    """`measurements` and their derivatives: metres and kilograms per standard deviation of each shape component.

    For a covariance C of the betas that of the measurements is J C J^T, to first order. Neither result carries
    gradients.

    Raises InputError where the number of shape components is not the model's.
    """
    values: list[Tensor] = []
    slopes: list[Tensor] = []
    for one in _people(body, betas.detach()):
        # Works where the caller has gradients switched off, in either of torch's two ways.
        with torch.inference_mode(False), torch.enable_grad():
            given = one.clone()
            vertices, joints = body.rest_vertices(given).requires_grad_(), body.rest_joints(given).requires_grad_()
            row = _measure(body, vertices, joints)
        pulls = [torch.autograd.grad(x, (vertices, joints), retain_graph=True, materialize_grads=True) for x in row]
        by_vertex, by_joint = (torch.stack(pull).flatten(1) for pull in zip(*pulls))
        # Both are linear in betas.
        slopes.append(by_vertex @ body.shape_dirs.flatten(0, 1) + by_joint @ body.joint_dirs.flatten(0, 1))
        values.append(torch.stack(row).detach())
    batch, m = betas.shape[:-1], len(MEASUREMENTS)
    return _stack(values, betas).reshape(*batch, m), _stack(slopes, betas).reshape(*batch, m, body.shape_count)


def _people(body: BodyModel, betas: Tensor) -> tuple[Tensor, ...]:
    if betas.shape[-1] != body.shape_count:
        raise InputError(
            f"betas: expected {body.shape_count} shape components in the last dimension, got {betas.shape[-1]}; "
            "this body model's `shape_count` says how many to give"
        )
    return betas.flatten(0, -2).unbind() if betas.ndim > 1 else (betas,)


def _stack(rows: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(rows) if rows else like.new_zeros(0)


def _measure(body: BodyModel, vertices: Float[Tensor, "v 3"], joints: Float[Tensor, "24 3"]) -> list[Tensor]:
    """One scalar for each of MEASUREMENTS; not stacked, so that each is differentiated without the others' work."""
    torso, trunk = _faces(body, "torso"), _faces(body, "torso", "left_upper_leg", "right_upper_leg")
    hips, shoulders = _middle(joints, "hip"), _middle(joints, "shoulder")

    def level(landmark: float) -> Tensor:
        return hips[1] + (shoulders[1] - hips[1]) * ((landmark - _TROCHANTERION) / (_ACROMION - _TROCHANTERION))

    crotch = _cut(vertices, torso, 0, hips[0])[:, 1]
    sole = vertices[:, 1].amin()
    return [
        height(vertices),
        mass(vertices, body.faces),
        girth(vertices, trunk, level(_BUST)),
        girth(vertices, trunk, level((_ILIAC_CREST + _TENTH_RIB) / 2)),
        girth(vertices, trunk, level(_BUTTOCK)),
        crotch.amin() - sole if len(crotch) else sole * math.nan,
        (_arm(joints, "left") + _arm(joints, "right")) / 2,
    ]


def _faces(body: BodyModel, *parts: str) -> Int64[Tensor, "f 3"]:
    """The faces of some of the 14 parts."""
    wanted = torch.tensor([name in parts for name in NAMES[14]])[MERGE[14]]
    mine = wanted.to(body.faces.device).index_select(0, body.face_parts)
    return body.faces.index_select(0, mine.nonzero()[:, 0])


def _cut(
    vertices: Float[Tensor, "v 3"], faces: Int64[Tensor, "f 3"], axis: int, level: Float[Tensor, ""]
) -> Float[Tensor, "n 3"]:
    """Where the faces' edges cross the plane on which a coordinate has a value."""
    beyond = (vertices.detach()[:, axis] > level).index_select(0, faces.flatten()).view_as(faces)
    cut = (beyond[:, 0] != beyond[:, 1]) | (beyond[:, 1] != beyond[:, 2])
    faces, beyond = faces[cut], beyond[cut]
    # Two faces run along an edge in opposite directions, so that the edges that go up are every edge once.
    upward = ~beyond & beyond.roll(-1, 1)
    a, b = vertices[torch.stack([faces[upward], faces.roll(-1, 1)[upward]])]
    return a + (b - a) * ((level - a[:, axis]) / (b[:, axis] - a[:, axis]))[:, None]


def _middle(joints: Float[Tensor, "24 3"], name: str) -> Float[Tensor, "3"]:
    return (joints[SMPL24.index(f"left_{name}")] + joints[SMPL24.index(f"right_{name}")]) / 2


def _arm(joints: Float[Tensor, "24 3"], side: str) -> Float[Tensor, ""]:
    shoulder, elbow, wrist = (joints[SMPL24.index(f"{side}_{name}")] for name in ("shoulder", "elbow", "wrist"))
    return (elbow - shoulder).norm() + (wrist - elbow).norm()
