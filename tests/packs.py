"""People at random, as packs of `nbf draw` hold them, for tests that train."""

from functools import cache

import torch

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.train.batch import Batch
from nbf.train.packs import compress


@cache
def small() -> BodyModel:
    return load_body("anny24", "small")


def random_people(count: int, seed: int) -> Batch:
    """Bodies before cameras: the labels of a pack."""
    g = torch.Generator().manual_seed(seed)
    turns = torch.linalg.qr(torch.randn(count, 24, 3, 3, generator=g))[0]
    return {
        "betas": 0.3 * torch.randn(count, small().shape_count, generator=g),
        "rotations": turns * torch.linalg.det(turns)[..., None, None],
        "translation": torch.randn(count, 3, generator=g) + torch.tensor([0.0, 0.0, 6.0]),
        "focal": 300 + 50 * torch.rand(count, generator=g),
        "center": 128 + 20 * torch.randn(count, 2, generator=g),
        "keypoints": 256 * torch.rand(count, 17, 3, generator=g),
    }


def random_pack(count: int, seed: int, *, true: bool = True, seen: bool = True, strongest: int = 3) -> Batch:
    """The same with part maps, true ones and what a segmenter saw, that have nothing to do with the bodies."""
    g = torch.Generator().manual_seed(seed)
    parts = (6 * torch.randn(count, 25, 64, 64, generator=g)).softmax(1)
    batch = random_people(count, seed)
    if true:
        batch |= {"parts": compress(parts, strongest)}
    if seen:
        keypoints = torch.rand(count, 17, 3, generator=g) * torch.tensor([256.0, 256.0, 1.0])
        batch |= {"seen_parts": compress(parts.flip(2)), "seen_keypoints": keypoints}
    return batch
