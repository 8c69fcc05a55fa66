"""Joints of a body under the names that data sets use (`nbf.data.joint_orders`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import COCO17, LSP14, SMPL24
from nbf.body.model import BodyModel, BodyOutput
from nbf.data.joint_orders import ORDERS
from nbf.data.readers.plain_files import read_npy
from nbf.errors import DataError
from nbf.reading import Array

_SHOULDERS = {("smpl24", "left_shoulder"): 0.5, ("smpl24", "right_shoulder"): 0.5}
_HIPS = {("smpl24", "left_hip"): 0.5, ("smpl24", "right_hip"): 0.5}
OURS: dict[str, dict[tuple[str, str], float]] = {
    **{called: {("smpl24", name): 1.0} for called, name in zip(ORDERS["smpl24"], SMPL24)},
    **{name: {("coco17", name): 1.0} for name in COCO17[:5]},
    "neck": {("lsp14", "neck"): 1.0},
    "head_top": {("lsp14", "head_top"): 1.0},
    "head": {("lsp14", "head_top"): 1.0},
    "jaw": {("smpl24", "head"): 0.5, ("coco17", "nose"): 0.5},
    "thorax": {("smpl24", "neck"): 1.0},
    "spine": {("smpl24", "spine2"): 1.0},
    "pelvis": {("smpl24", "pelvis"): 1.0},
    "neck_openpose": _SHOULDERS,
    "pelvis_openpose": _HIPS,
}
"""Each name as a mean of the body's own keypoints. Limbs are the centres of joints, as markers give them; the others
are our reading of what the sets show, and no regressor of theirs."""


@runtime_checkable
class Reading(Protocol):
    """How joints are read off a posed body."""

    @property
    def name(self) -> str: ...
    def __call__(
        self, body: BodyModel, posed: BodyOutput, names: Sequence[str]
    ) -> "tuple[Float[Tensor, 'b n 3'], Float[Tensor, ' n']]":
        """Points, and weight 0 for names that cannot be read off."""
        ...


class Ours:
    """By `OURS`, off any body of 24 joints."""

    name = "nbf's own regression"

    def __call__(
        self, body: BodyModel, posed: BodyOutput, names: Sequence[str]
    ) -> "tuple[Float[Tensor, 'b n 3'], Float[Tensor, ' n']]":
        sets = {"smpl24": SMPL24, "coco17": COCO17, "lsp14": LSP14}
        points = {kind: body.keypoints(posed, kind) for kind in sets}

        def read(name: str) -> Tensor:
            return torch.stack(
                [share * points[kind][:, sets[kind].index(joint)] for (kind, joint), share in OURS[name].items()]
            ).sum(0)

        there = torch.tensor([float(name in OURS) for name in names])
        nothing = torch.zeros_like(posed.joints[:, 0])
        return torch.stack([read(name) if name in OURS else nothing for name in names], 1), there


class Regressor:
    """By SMPL's own regressor of Human3.6M's 17 joints, a file that its makers hand out, off SMPL's vertices."""

    name = "J_regressor_h36m"

    def __init__(self, matrix: Float[Tensor, "17 v"]) -> None:
        self.matrix = matrix

    @classmethod
    def load(cls, path: Path) -> "Regressor":
        """From J_regressor_h36m.npy. Raises DataError where it is missing, damaged or something else."""
        return cls(torch.from_numpy(read_npy(path, Array(np.float32, (17, "v")))))

    def __call__(
        self, body: BodyModel, posed: BodyOutput, names: Sequence[str]
    ) -> "tuple[Float[Tensor, 'b n 3'], Float[Tensor, ' n']]":
        """Raises DataError where the body has other vertices than the regressor."""
        if posed.vertices.shape[-2] != self.matrix.shape[1]:
            raise DataError(
                f"regressor: expected a body of {self.matrix.shape[1]} vertices, got {posed.vertices.shape[-2]}; it is "
                "for SMPL's mesh alone"
            )
        joints, order = self.matrix @ posed.vertices, ORDERS["human36m17"]
        index = [order.index(name) if name in order else -1 for name in names]
        return joints[:, index], torch.tensor([float(place >= 0) for place in index])
