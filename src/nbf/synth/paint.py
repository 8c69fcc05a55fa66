"""People without any asset: clothes, skin and hair painted on the body's own faces.

Works from the body alone (part labels and canonical coordinates): it needs no shared folder and fits every level of
detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbf.synth.recolor import HAIR, LOWER, SHOES, SKIN, UPPER, draw_cloth_colors, draw_hair_colors

if TYPE_CHECKING:
    from nbf.body.model import BodyModel

# Skin from light to dark (sRGB 0..1), after the mean colours of MakeHuman's skins.
SKIN_COLORS = torch.tensor(
    [
        [0.93, 0.77, 0.66],
        [0.86, 0.69, 0.57],
        [0.80, 0.61, 0.47],
        [0.70, 0.50, 0.36],
        [0.53, 0.35, 0.24],
        [0.36, 0.22, 0.15],
        [0.26, 0.16, 0.12],
    ]
)
# Part ids (nbf.body.parts, BodyPix order): whole limbs and their ends.
_HEAD, _UPPER_ARMS, _LOWER_ARMS = (1, 2), (3, 4, 5, 6), (7, 8, 9, 10)
_TORSO, _THIGHS, _SHINS, _FEET = (13, 14), (15, 16, 17, 18), (19, 20, 21, 22), (23, 24)
_DRESS_SHARE, _BARE_SHARE, _BAREFOOT_SHARE, _BALD_SHARE = 0.15, 0.06, 0.12, 0.1


@dataclass(frozen=True)
class PaintedClothes:
    """Colours and groups (nbf.synth.recolor.GROUPS) of the body's faces, per person."""

    rgb: Float[Tensor, "count f 3"]
    groups: Int[Tensor, "count f"]


def paint_clothes(body: BodyModel, generator: torch.Generator, count: int) -> PaintedClothes:
    """Draw clothes, shoes, skin and hair for `count` people on the faces of a body.

    Sleeves and trouser legs end anywhere along the limb; some people wear dresses, no top, no shoes or no hair.
    Everything is drawn on the generator's device and comes back on the body's.
    """
    device = generator.device
    parts = body.face_parts.to(device)
    centers = body.surface.to(device)[body.faces.to(device)].mean(1)
    draws = torch.rand((16, count), generator=generator, device=device)

    arm = _along(centers[:, 0].sub(0.5).abs(), parts, _UPPER_ARMS + _LOWER_ARMS)  # 0 shoulder .. 1 wrist
    leg = 1 - _along(centers[:, 1], parts, _THIGHS + _SHINS)  # 0 hip .. 1 ankle
    torso = _along(centers[:, 1], parts, _TORSO)  # 0 crotch .. 1 neck
    head_up = _along(centers[:, 1], parts, _HEAD)
    head_front = _along(centers[:, 2], parts, _HEAD)

    # sleeves: none, short, anywhere, long; legs likewise
    sleeve = _length(draws[0], draws[1], (0.12, 0.35, 1.01))[:, None]
    trouser = _length(draws[2], draws[3], (0.25, 0.5, 1.01))[:, None]
    skirt = (0.15 + 0.55 * draws[4])[:, None]
    dressed = (draws[5] < _DRESS_SHARE)[:, None]
    topless = (draws[6] < _BARE_SHARE)[:, None] & ~dressed
    shod = (draws[7] > _BAREFOOT_SHARE)[:, None]
    hairy = (draws[8] > _BALD_SHARE)[:, None]
    waist = (0.1 + 0.25 * draws[9])[:, None]
    neck = (0.85 + 0.2 * draws[10])[:, None]
    shaft = (1.1 - 0.25 * draws[11] ** 3)[:, None]  # boots reach up the shin
    hairline = (0.62 + 0.12 * draws[12])[:, None]
    nape = (0.15 + 0.4 * draws[13])[:, None]

    def within(ids: tuple[int, ...]) -> Tensor:
        return torch.isin(parts, torch.tensor(ids, device=device))[None]

    groups = torch.full((count, len(parts)), SKIN, device=device)
    in_torso, in_arms, in_legs = within(_TORSO), within(_UPPER_ARMS + _LOWER_ARMS), within(_THIGHS + _SHINS)
    groups[(in_torso & (torso < neck) | in_arms & (arm < sleeve)) & ~topless] = UPPER
    groups[(in_torso & (torso < waist) | in_legs & (leg < trouser)) & ~dressed] = LOWER
    groups[in_legs & (leg < skirt) & dressed] = UPPER
    groups[(within(_FEET) | in_legs & (leg > shaft)) & shod] = SHOES
    scalp = (head_up > hairline) & (head_front < 0.8) | (head_front < 0.5) & (head_up > nape)
    scalp = scalp | (head_up > 0.85)
    groups[within(_HEAD) & scalp & hairy] = HAIR

    table = torch.stack(
        [
            _skin_colors(count, generator),
            draw_cloth_colors(count, generator),
            draw_cloth_colors(count, generator),
            draw_cloth_colors(count, generator),
            draw_hair_colors(count, generator),
        ],
        1,
    )
    rgb = table.gather(1, groups[..., None].expand(-1, -1, 3))
    prints = torch.stack([draw_cloth_colors(count, generator) for _ in range(2)], 1)
    for cloth, group in enumerate((UPPER, LOWER)):
        cover = _stripes(centers, generator, count) * (groups == group)
        rgb = rgb + cover[..., None] * (prints[:, cloth, None] - rgb)
    grain = 1 + 0.04 * torch.randn((count, len(parts), 1), generator=generator, device=device)
    target = body.faces.device
    return PaintedClothes((rgb * grain).clamp(0, 1).to(target), groups.to(target))


def _along(values: Tensor, parts: Tensor, ids: tuple[int, ...]) -> Tensor:
    """Values rescaled so that the faces of the given parts span [0, 1]."""
    inside = values[torch.isin(parts, torch.tensor(ids, device=parts.device))]
    return (values - inside.min()) / (inside.max() - inside.min())


def _length(kind: Tensor, where: Tensor, ends: tuple[float, float, float]) -> Tensor:
    """Where cloth ends along a limb: a tenth none, 35 % short, 15 % anywhere, 40 % long."""
    none, short, long = ends
    return torch.where(
        kind < 0.1,
        none * where,
        torch.where(kind < 0.45, short + 0.1 * where, torch.where(kind < 0.6, where, torch.full_like(where, long))),
    )


def _skin_colors(count: int, generator: torch.Generator) -> Float[Tensor, "count 3"]:
    """A point on the line from light to dark, with some jitter."""
    device = generator.device
    table = SKIN_COLORS.to(device)
    place = torch.rand((count, 1), generator=generator, device=device) * (len(table) - 1)
    low = place.floor().long().clamp(max=len(table) - 2)
    color = torch.lerp(table[low[:, 0]], table[low[:, 0] + 1], place - low)
    jitter = torch.randn((count, 4), generator=generator, device=device)
    return (color * (1 + 0.06 * jitter[:, :1]) + 0.012 * jitter[:, 1:]).clamp(0.03, 0.98)


def _stripes(centers: Tensor, generator: torch.Generator, count: int) -> Float[Tensor, "count f"]:
    """Horizontal, vertical or crossed bands over the canonical coordinates; none for two thirds of the people."""
    device = generator.device
    numbers = torch.rand((5, count, 1), generator=generator, device=device)
    waves = 15 + 35 * numbers[0]
    level = ((centers[None, :, 1] * waves) % 1.0 < 0.3 + 0.4 * numbers[1]).float()
    upright = ((centers[None, :, 0] * waves) % 1.0 < 0.3 + 0.4 * numbers[1]).float()
    bands = torch.where(numbers[2] < 0.5, level, torch.where(numbers[2] < 0.75, upright, 0.5 * (level + upright)))
    return bands * (0.4 + 0.6 * numbers[3]) * (numbers[4] < 0.33)
