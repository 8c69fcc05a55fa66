"""Metrics as pure functions, unreduced: the caller decides what to average, and over whom.

Lengths go in as metres and come out as millimetres (height: centimetres, as people say it), angles as degrees.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.geometry.procrustes import align
from nbf.geometry.rotations import geodesic_angle

MILLIMETRES = 1000.0
CENTIMETRES = 100.0
LSP_NECK, LSP_TOP = 12, 13
COCO_LEFT_SHOULDER, COCO_RIGHT_HIP = 5, 12


def mpjpe(
    predicted: Float[Tensor, "*b j 3"],
    true: Float[Tensor, "*b j 3"],
    predicted_root: Float[Tensor, "*b 3"],
    true_root: Float[Tensor, "*b 3"],
) -> Float[Tensor, "*b j"]:
    """Distance of each joint, or vertex, in mm after moving the roots (pelves) onto each other.

    Averaged over joints: MPJPE (Ionescu et al., "Human3.6M", PAMI 2014, protocol 1). Over vertices: PVE.
    """
    difference = (predicted - predicted_root[..., None, :]) - (true - true_root[..., None, :])
    return difference.norm(dim=-1) * MILLIMETRES


def pa_mpjpe(predicted: Float[Tensor, "*b j 3"], true: Float[Tensor, "*b j 3"]) -> Float[Tensor, "*b j"]:
    """Distance of each joint in mm after the best scale, rotation and translation of each person.

    "Reconstruction error" of Bogo et al., "Keep it SMPL", ECCV 2016; what the NBF paper reports (3DV 2018, table 4).
    """
    return (align(predicted, true) - true).norm(dim=-1) * MILLIMETRES


def rotation_error(predicted: Float[Tensor, "*b 3 3"], true: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Angle in degrees of the rotation between the two (Huynh, "Metrics for 3D rotations", JMIV 2009, Phi6)."""
    return torch.rad2deg(geodesic_angle(predicted, true))


def height_error(predicted_rest: Float[Tensor, "*b v 3"], true_rest: Float[Tensor, "*b v 3"]) -> Float[Tensor, "*b"]:
    """Absolute difference in cm of the heights (crown to sole, y up) of bodies in T-pose."""
    extents = [points[..., 1].amax(-1) - points[..., 1].amin(-1) for points in (predicted_rest, true_rest)]
    return (extents[0] - extents[1]).abs() * CENTIMETRES


def pck(
    predicted: Float[Tensor, "*b k 2"], true: Float[Tensor, "*b k 2"], reference: Float[Tensor, "*b"], share: float
) -> Bool[Tensor, "*b k"]:
    """Whether each 2D joint lies within `share` of a reference length (pixels) of the true one. The rim counts."""
    return (predicted - true).norm(dim=-1) <= share * reference[..., None]


def torso_length(keypoints: Float[Tensor, "*b 17 2"]) -> Float[Tensor, "*b"]:
    """Left shoulder to right hip of COCO-17, in pixels: PCK@0.2's reference (Sapp & Taskar, "MODEC", CVPR 2013)."""
    return (keypoints[..., COCO_LEFT_SHOULDER, :] - keypoints[..., COCO_RIGHT_HIP, :]).norm(dim=-1)


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


def mean_iou(matrix: Int64[Tensor, "c c"]) -> float:
    """Mean IoU of the parts (classes 1..) that are present; background, which is easy, does not count."""
    return float(iou(matrix)[1:].nanmean())
