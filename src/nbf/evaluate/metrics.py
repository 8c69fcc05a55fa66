"""Metrics as pure functions, unreduced: the caller decides what to average, and over whom.

Lengths go in as metres and come out as millimetres (height: centimetres, as people say it); angles come out as degrees,
but for the paper's quaternion distance, which is in radians.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.body.joints import COCO_LEFT_SHOULDER as COCO_LEFT_SHOULDER
from nbf.body.joints import COCO_RIGHT_HIP as COCO_RIGHT_HIP
from nbf.body.joints import torso_length as torso_length
from nbf.body.measure import height
from nbf.geometry.procrustes import align
from nbf.geometry.quaternions import quaternion_from_matrix
from nbf.geometry.rotations import geodesic_angle

MILLIMETRES = 1000.0
CENTIMETRES = 100.0
LSP_NECK, LSP_TOP = 12, 13


def mpjpe(
    predicted: Float[Tensor, "*b j 3"],
    true: Float[Tensor, "*b j 3"],
    predicted_root: Float[Tensor, "*b 3"],
    true_root: Float[Tensor, "*b 3"],
) -> Float[Tensor, "*b j"]:
    """Distance of each joint in mm after moving the roots (pelves) onto each other; nothing is turned or scaled.

    Averaged over SMPL's 24 joints: MPJPE (Ionescu et al., "Human3.6M", PAMI 2014, protocol 1). Over all vertices, roots
    still the pelvis joints: PVE (Pavlakos et al., "Learning to estimate 3D human pose and shape", CVPR 2018).
    """
    difference = (predicted - predicted_root[..., None, :]) - (true - true_root[..., None, :])
    return difference.norm(dim=-1) * MILLIMETRES


def pa_mpjpe(predicted: Float[Tensor, "*b j 3"], true: Float[Tensor, "*b j 3"]) -> Float[Tensor, "*b j"]:
    """Distance of each joint in mm after the best scale, rotation and translation of each person (no mirroring).

    "Reconstruction error" of Bogo et al., "Keep it SMPL", ECCV 2016; what the NBF paper reports (3DV 2018, table 4).
    Ours: SMPL's 24 joints, and LSP's 14 beside them. Over all vertices, aligned by the vertices themselves: PA-PVE.
    """
    return (align(predicted, true) - true).norm(dim=-1) * MILLIMETRES


def shape_error(predicted_rest: Float[Tensor, "*b v 3"], true_rest: Float[Tensor, "*b v 3"]) -> Float[Tensor, "*b v"]:
    """Distance of each vertex in mm between bodies in the same T-pose, moved onto each other by their centroids.

    The "PVE-T" of Sengupta et al., "STRAPS", BMVC 2020, without their correction of scale: size counts as shape. The
    centroid, and not the root: where the pelvis joint lies within a body is itself a part of shape.
    """
    difference = predicted_rest - predicted_rest.mean(-2, keepdim=True) - true_rest + true_rest.mean(-2, keepdim=True)
    return difference.norm(dim=-1) * MILLIMETRES


def rotation_error(predicted: Float[Tensor, "*b 3 3"], true: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Angle in degrees of the rotation between the two (Huynh, "Metrics for 3D rotations", JMIV 2009, Phi6)."""
    return torch.rad2deg(geodesic_angle(predicted, true))


def quaternion_distance(predicted: Float[Tensor, "*b 3 3"], true: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """2 arccos |<p, q>| of the unit quaternions, in radians, 0..pi: twice Phi3 of Huynh (JMIV 2009), hence the angle.

    What the NBF paper's table of supervisions (3DV 2018) counts as rotation error, as far as its numbers tell: they
    reach 1.97, while Phi2, the chord, ends at 1.41, Phi3 at 1.57 and Phi4 at 1. Uniformly random rotations have a mean
    of pi/2 + 2/pi = 2.21 here, and the paper's 0.279 is 16 degrees. Mathematically `rotation_error` in radians, but
    computed from quaternions by the chord, which is exact also for tiny angles.
    """
    p, q = quaternion_from_matrix(predicted), quaternion_from_matrix(true)
    chord = torch.minimum((p - q).norm(dim=-1), (p + q).norm(dim=-1))
    return 4 * torch.asin((chord / 2).clamp(max=math.sqrt(0.5)))


def height_error(predicted_rest: Float[Tensor, "*b v 3"], true_rest: Float[Tensor, "*b v 3"]) -> Float[Tensor, "*b"]:
    """Absolute difference in cm of the heights (`nbf.body.measure.height`: crown to sole) of bodies in T-pose."""
    return (height(predicted_rest) - height(true_rest)).abs() * CENTIMETRES


def pck(
    predicted: Float[Tensor, "*b k 2"], true: Float[Tensor, "*b k 2"], reference: Float[Tensor, "*b"], share: float
) -> Bool[Tensor, "*b k"]:
    """Whether each projected joint lies within `share` of a reference length (both in pixels) of the true one.

    Nothing is aligned; the rim counts. Yang & Ramanan, "Articulated human detection with flexible mixtures of parts",
    PAMI 2013. PCKh@0.5: LSP's 14 joints and `head_length`. PCK@0.2 torso: COCO's 17 and `torso_length`.
    """
    return (predicted - true).norm(dim=-1) <= share * reference[..., None]


def head_length(joints: Float[Tensor, "*b 14 3"], focal: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Neck to head top of LSP-14 (camera metres) as it would measure in pixels seen square on: PCKh@0.5's reference.

    PCKh (Andriluka et al., "MPII", CVPR 2014) takes the annotated head segment; the length here comes from the true
    body and does not shrink when the head points at the camera.
    """
    neck, top = joints[..., LSP_NECK, :], joints[..., LSP_TOP, :]
    return focal * (top - neck).norm(dim=-1) / ((top + neck)[..., 2] / 2)


def confusion(
    predicted: Int64[Tensor, "*n"], true: Int64[Tensor, "*n"], classes: int, counted: Bool[Tensor, "*n"]
) -> Int64[Tensor, "{classes} {classes}"]:
    """How often each true class (row) was called what (column), over the pixels that count. Adds up over pictures."""
    index = true[counted] * classes + predicted[counted]
    return torch.bincount(index, minlength=classes**2).reshape(classes, classes)


def iou(matrix: Int64[Tensor, "c c"]) -> Float[Tensor, " c"]:
    """Intersection over union of each class of a confusion matrix; NaN where neither side ever has the class.

    Pooled over all pictures, as PASCAL VOC (Everingham et al., IJCV 2010) does.
    """
    hit = matrix.diagonal().double()
    union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
    return torch.where(union > 0, hit / union.clamp_min(1), math.nan).float()


def f1(matrix: Int64[Tensor, "c c"]) -> Float[Tensor, " c"]:
    """2 TP / (2 TP + FP + FN) of each class of a confusion matrix (Dice); NaN where neither side ever has the class.

    Pooled over all pictures like `iou`, from which it follows as 2 iou / (1 + iou). What the NBF paper grades its
    segmentations by.
    """
    hit = matrix.diagonal().double()
    total = matrix.sum(0) + matrix.sum(1)
    return torch.where(total > 0, 2 * hit / total.clamp_min(1), math.nan).float()


def mean_iou(matrix: Int64[Tensor, "c c"]) -> float:
    """Mean IoU of the parts (classes 1..) that are present; background, which is easy, does not count."""
    return float(iou(matrix)[1:].nanmean())


def mean_f1(matrix: Int64[Tensor, "c c"]) -> float:
    """Mean F1 of the parts (classes 1..) that are present; background does not count."""
    return float(f1(matrix)[1:].nanmean())
