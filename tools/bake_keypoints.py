"""COCO and LSP keypoints as few-vertex regressors, fitted so that they follow shape and pose."""

import anny.paths
import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from nbf.body.joints import COCO17, LSP14, SMPL24

CANDIDATES, KEPT = 200, 16


def coco_targets() -> Tensor:
    """Anny's own COCO regressors (17, 19158) over the base mesh."""
    table = torch.load(anny.paths.get_anny_root_dir() / "data/keypoints/coco.pth", weights_only=True)
    return torch.stack([table[name].float() for name in COCO17])


def fit_keypoints(vertices: Tensor, coco: Tensor, joints: Tensor, crown: Tensor) -> tuple[Tensor, Tensor]:
    """Vertices (31, KEPT) and weights (31, KEPT) whose weighted mean gives COCO's 17 and LSP's 14 keypoints.

    `vertices` (n v 3), `coco` (n 17 3), `joints` (n 24 3) and `crown` (n 3) are of the same n bodies, posed. LSP's limb
    joints are taken as COCO's; its neck is SMPL's neck joint and its head top the crown of the head.
    """
    targets = [coco[:, i] for i in range(17)]
    for name in LSP14:
        if name == "head_top":
            targets.append(crown)
        else:
            targets.append(joints[:, SMPL24.index("neck")] if name == "neck" else coco[:, COCO17.index(name)])
    rows = [_fit(vertices, target) for target in targets]
    return torch.stack([r[0] for r in rows]), torch.stack([r[1] for r in rows])


def _fit(vertices: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    distance = (vertices - target[:, None]).norm(dim=-1).mean(0)
    chosen = distance.argsort()[:CANDIDATES]
    for keep in (KEPT, KEPT):
        # Non-negative least squares with the weights' sum pinned to one.
        offsets = (vertices[:, chosen] - target[:, None]).permute(0, 2, 1).reshape(-1, len(chosen))
        system = np.vstack([offsets.double().numpy(), 100.0 * np.ones((1, len(chosen)))])
        weights, _ = nnls(system, np.append(np.zeros(len(offsets)), 100.0))
        order = np.argsort(-weights)[:keep]
        chosen = chosen[torch.from_numpy(order.copy())]
        kept = torch.from_numpy(weights[order]).float()
    return chosen, kept / kept.sum()
