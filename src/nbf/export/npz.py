"""Body parameters as NumPy archives under the names that SMPL and AMASS tools use."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nbf.files import replacing

KEYS = {
    "betas": "(n, S) shape, standard deviations of the body model's components",
    "poses": "(n, 72) axis-angle of the 24 joints in SMPL's order, radians; as AMASS",
    "global_orient": "(n, 3) the first of them: cam_from_body",
    "body_pose": "(n, 69) the rest; as smplx",
    "trans": "(n, 3) translation in the camera frame (x right, y down, z forward), metres",
    "body_model": "name of the body model that betas and vertices belong to",
    "vertices": "(n, V, 3) camera frame, metres",
    "faces": "(F, 3) counter-clockwise from outside",
    "joints_3d_smpl24": "(n, 24, 3) camera frame, metres; also coco17 and lsp14",
    "joints_2d_smpl24": "(n, 24, 2) pixels of the upright picture; also coco17 and lsp14",
    "focal": "(n,) pixels",
    "center": "(n, 2) principal point, pixels",
    "image_size": "(n, 2) width, height of the upright picture, pixels",
    "box": "(n, 4) x0, y0, x1, y1, pixels",
    "score": "(n,) 0..1",
    "parts": "(n, 25, 64, 64) part probabilities in the crop, float16",
    "parts_center": "(n, 2) centre of that crop in the picture, pixels",
    "parts_size": "(n,) its side, pixels",
    "keypoints": "(n, 17, 3) COCO-17 as seen by the segmenter: x, y pixels, score",
    "measurements": "(n, 7, 2) value and standard deviation of nbf.body.measure.MEASUREMENTS",
    "certainty_joint_error": "(n, 24) metres; this and what follows as nbf.certainty.Certainty says",
    "certainty_cells": "(n, 14) cells of the part map",
    "certainty_seen": "(n, 14) 0..1",
    "certainty_cut": "(n, 14) 0..1",
    "certainty_entropy": "(n, 14) nats",
    "certainty_guessed": "(n, 14) bool",
    "certainty_shape_covariance": "(n, S, S) of betas",
}
"""What the file of n people holds."""


def write_npz(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write plain arrays, compressed; `KEYS` says what they are."""
    with replacing(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
