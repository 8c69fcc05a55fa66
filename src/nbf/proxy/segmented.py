"""Parts, joints and surface as a segmenter sees them: both ways, and once more, upright, where people lean or lie."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import COCO17
from nbf.geometry import CropMove
from nbf.nets.fitter import cell_centers
from nbf.nets.mirror import Seen, in_sides, segment_both_ways
from nbf.nets.packed import packed
from nbf.nets.segmenter import Segmenter, SegmenterOutput
from nbf.proxy.proxy import Crops, Proxy, silhouette

BATCH = 16
"""Crops put through the network at once; bounds memory on pictures of crowds."""
CPU_BATCH = 4
"""The same on CPUs, whose caches hold what is between two layers for so many: of 16, each takes twice the time."""
# Leaning of the trunk in the picture from which on somebody is looked at again.
LEANING = math.radians(40)
# Crop side over the longer side of the person's mask in the second look, and how much larger that may show them.
FRAME, ZOOM = 1.1, (0.8, 2.0)
SHOULDERS, HIPS = ([COCO17.index(f"{side}_{name}") for side in ("left", "right")] for name in ("shoulder", "hip"))


class Segmented:
    """Sees part map, joints, silhouette and surface, as a segmenter has them."""

    def __init__(
        self,
        segmenter: Callable[[Tensor], SegmenterOutput],
        device: torch.device | str = "cpu",
        *,
        exact: bool = False,
    ) -> None:
        """`segmenter` is the network, to be packed here, or what another runtime makes of it. `exact` computes in
        float32 where bfloat16 would be faster: the same on every machine."""
        self.device = torch.device(device)
        is_network = isinstance(segmenter, Segmenter)
        self.segmenter = packed(segmenter, self.device, exact=exact) if is_network else segmenter

    @torch.no_grad()
    def __call__(self, crops: Crops) -> Proxy:
        seen = []
        for some in crops.image.split(CPU_BATCH if self.device.type == "cpu" else BATCH):
            images = some.to(self.device).contiguous(memory_format=torch.channels_last)
            seen.append(look(self.segmenter, images))
        parts, keypoints, surface = (torch.cat(values).float().cpu() for values in zip(*seen))
        return Proxy(
            crops.camera, parts=parts, joints=in_sides(keypoints), silhouette=silhouette(parts), surface=surface
        )


def look(segmenter: Callable[[Tensor], SegmenterOutput], image: Float[Tensor, "b 3 h w"]) -> Seen:
    """What a segmenter sees in crops of 256 px: of one look or two the surer, the mean over both ways of each.

    Photos of people, and people drawn at random, are mostly upright, so that segmenters learn little of others. The
    second look is at the same pixels of those who lean far, moved: turned until the trunk is upright, zoomed until the
    person fills the crop. Its answer is moved back.
    """
    first = segment_both_ways(segmenter, image)
    rows = (leaning(first).abs() > LEANING).nonzero()[:, 0]
    if not len(rows):
        return first
    some = Seen(*(value[rows] for value in first))
    move = upright(some)
    moved = move.picture(image[rows]).contiguous(memory_format=torch.channels_last)
    second = moved_back(segment_both_ways(segmenter, moved), some, move)
    surer = (sureness(second) > sureness(some)).view(-1, 1, 1)
    return Seen(
        first.parts.index_copy(0, rows, torch.where(surer[..., None], second.parts, some.parts)),
        first.keypoints.index_copy(0, rows, torch.where(surer, second.keypoints, some.keypoints)),
        first.surface.index_copy(0, rows, torch.where(surer[..., None], second.surface, some.surface)),
    )


def sureness(proxy: Seen) -> Float[Tensor, " b"]:
    """Mean score of the keypoints."""
    return proxy.keypoints[..., 2].mean(1)


def leaning(proxy: Seen) -> Float[Tensor, " b"]:
    """Angle from upright to the trunk (hips to shoulders) in the picture, radians, clockwise."""
    points, score = proxy.keypoints[..., :2], proxy.keypoints[..., 2:].clamp(min=1e-3)
    top, bottom = ((points[:, pair] * score[:, pair]).sum(1) / score[:, pair].sum(1) for pair in (SHOULDERS, HIPS))
    across, down = (top - bottom).unbind(-1)
    return torch.atan2(across, -down)


def upright(proxy: Seen) -> CropMove:
    """The move of the crop that turns the trunk upright and makes the person fill it; no zoom where nobody is seen."""
    angle = -leaning(proxy)
    turn = CropMove(angle, torch.ones_like(angle), angle.new_zeros(len(angle), 2))
    person = (proxy.parts[:, 0] < 0.5).flatten(1)
    down, across = (cell_centers(side, angle.device) for side in proxy.parts.shape[-2:])
    cells = torch.stack(torch.meshgrid(across, down, indexing="xy"), -1).flatten(0, 1)
    cells = turn.points(cells.expand(len(angle), -1, -1))
    low = torch.where(person[..., None], cells, torch.inf).amin(1)
    high = torch.where(person[..., None], cells, -torch.inf).amax(1)
    seen = person.any(1)
    zoom = torch.where(seen, (2 / (FRAME * (high - low).amax(1))).clamp(*ZOOM), 1.0)
    shift = torch.where(seen[:, None], -zoom[:, None] * (low + high) / 2, 0.0)
    return CropMove(angle, zoom, shift)


def moved_back(second: Seen, first: Seen, move: CropMove) -> Seen:
    """A look at moved crops as of the crops themselves; where it did not see, the maps of the first look."""
    back = move.inverse()
    missed = 1 - back.picture(torch.ones_like(second.parts[:, :1]))
    parts, surface = (
        back.picture(there) + missed * here
        for there, here in ((second.parts, first.parts), (second.surface, first.surface))
    )
    return Seen(parts, back.points(second.keypoints), surface)
