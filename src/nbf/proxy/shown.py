"""A proxy as the inputs of the networks that look at it: each function returns those of one network."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from nbf.body.parts import COLORS, MERGE, merge_probabilities
from nbf.errors import InputError
from nbf.losses import gaussian_maps
from nbf.nets import hmr
from nbf.nets.mirror import from_sides
from nbf.nets.trunk import Trunk
from nbf.proxy.proxy import Proxy

COLOURED_PARTS, COLOUR_SIDE = 12, 224
"""Parts of the map that the paper's fitter reads in colours, and its pixels a side."""
MAP = 64
"""Cells a side of the maps that fitters read."""
SIGMA = 1.5
"""Cells: the spread of a joint in its heat map."""


class PictureFeatures:
    """What a trunk makes of the picture, for `nbf.nets.hmr.Hmr`."""

    def __init__(self, trunk: Trunk, device: torch.device | str = "cpu") -> None:
        self.trunk, self.device = trunk, device

    @torch.no_grad()
    def __call__(self, proxy: Proxy) -> tuple[Float[Tensor, "n 320 4 4"]]:
        """Raises InputError where there is no picture."""
        image = _there(proxy.image, "a picture").to(self.device)
        small = interpolate(image, (hmr.INPUT_SIZE, hmr.INPUT_SIZE), mode="area")
        return (self.trunk(small.contiguous(memory_format=torch.channels_last))[-1],)


def part_colours(proxy: Proxy) -> tuple[Float[Tensor, "n 3 224 224"]]:
    """For `nbf.nets.omran.Omran`: the map of 12 parts, each in a colour of its own, mixed where a cell is unsure.

    Raises InputError where there is no part map.
    """
    maps = merge_probabilities(_there(proxy.parts, "a part map"), COLOURED_PARTS)
    # Of each merged part the colour of the first that went into it.
    first = [MERGE[COLOURED_PARTS].tolist().index(part) for part in range(COLOURED_PARTS + 1)]
    palette = COLORS[first].to(maps) / 255
    coloured = torch.einsum("nkhw,kc->nchw", maps, palette)
    return (interpolate(coloured, (COLOUR_SIDE, COLOUR_SIDE), mode="nearest"),)


def joints_and_silhouette(proxy: Proxy) -> tuple[Float[Tensor, "n 17 3"], Float[Tensor, "n 64 64"]]:
    """For `nbf.nets.pavlakos.Pavlakos`. Raises InputError where one of them is missing."""
    return from_sides(_there(proxy.joints, "joints")), _there(proxy.silhouette, "a silhouette")


def joint_maps_and_silhouette(proxy: Proxy) -> tuple[Float[Tensor, "n 18 64 64"]]:
    """For a `nbf.nets.regressor.Regressor`: a heat map of each joint, as high as it is sure, then the silhouette.

    Raises InputError where one of them is missing.
    """
    joints, silhouette = _there(proxy.joints, "joints"), _there(proxy.silhouette, "a silhouette")
    return (torch.cat([heat_maps(joints), silhouette[:, None]], 1),)


def heat_maps(joints: Float[Tensor, "n k 3"]) -> Float[Tensor, "n k 64 64"]:
    """Joints (crop sides and a score) as maps with a bell at each, as high as its score."""
    return gaussian_maps(joints[..., :2] * MAP, MAP, 1, SIGMA) * joints[..., 2, None, None]


def _there(evidence: Tensor | None, name: str) -> Tensor:
    if evidence is None:
        raise InputError(f"proxy: expected {name}, which this method looks at, got none; see it, or use another method")
    return evidence
