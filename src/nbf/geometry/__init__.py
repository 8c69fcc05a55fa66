"""Rotations, pinhole cameras, square crops and similarity alignment; frames and units in docs/conventions.md."""

from nbf.geometry.camera import Camera, crop_camera_from_translation, translation_from_crop_camera
from nbf.geometry.crop import Crop
from nbf.geometry.move import CropMove
from nbf.geometry.procrustes import align, similarity
from nbf.geometry.rotations import (
    axis_angle_from_matrix,
    from_columns,
    geodesic_angle,
    matrix_from_axis_angle,
    project_to_rotation,
)

__all__ = [
    "Camera",
    "Crop",
    "CropMove",
    "align",
    "axis_angle_from_matrix",
    "crop_camera_from_translation",
    "from_columns",
    "geodesic_angle",
    "matrix_from_axis_angle",
    "project_to_rotation",
    "similarity",
    "translation_from_crop_camera",
]
