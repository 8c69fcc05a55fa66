"""New colours for garments: whole textures (hue, plain dye, patterns) and tints per person and group.

Everything is drawn from a `torch.Generator` in small tables (on the generator's device) and applied on the device of
the textures, so that one CPU generator gives the same clothes on every device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

# Groups of faces or texels that change colour together; hats count as upper.
GROUPS = ("skin", "upper", "lower", "shoes", "hair")
SKIN, UPPER, LOWER, SHOES, HAIR = range(5)

# Common cloth colours (sRGB 0..1): black, white, greys, navy, denim, khaki, olive, brown, burgundy, beige, charcoal.
# Random hues alone give far too few of these; half of the draws come from here.
CLOTH_COLORS = torch.tensor(
    [
        [0.06, 0.06, 0.07],
        [0.94, 0.94, 0.93],
        [0.30, 0.30, 0.32],
        [0.62, 0.62, 0.63],
        [0.09, 0.12, 0.26],
        [0.27, 0.38, 0.55],
        [0.66, 0.58, 0.42],
        [0.33, 0.35, 0.21],
        [0.34, 0.23, 0.15],
        [0.42, 0.09, 0.13],
        [0.83, 0.77, 0.66],
        [0.16, 0.17, 0.19],
    ]
)
# Natural hair: black, dark brown, brown, light brown, dark blond, blond, auburn, ginger, grey, white.
HAIR_COLORS = torch.tensor(
    [
        [0.05, 0.04, 0.04],
        [0.15, 0.10, 0.07],
        [0.27, 0.17, 0.10],
        [0.41, 0.28, 0.17],
        [0.53, 0.41, 0.25],
        [0.76, 0.63, 0.41],
        [0.36, 0.14, 0.08],
        [0.50, 0.27, 0.14],
        [0.52, 0.51, 0.50],
        [0.84, 0.83, 0.81],
    ]
)
KEEP_SHARE = 0.2  # share of regions whose texture stays as made
DYE_SHARE = 0.5  # share that is dyed in one colour, shading kept; the rest gets its hue, saturation and value turned
PATTERN_SHARE = 0.35  # share of cloth regions that get a pattern printed on top
_PATTERNS = 5  # stripes, checks, dots, blotches, fine noise


def draw_tints(count: int, generator: torch.Generator) -> tuple[Float[Tensor, "count 5 3"], Float[Tensor, "count 5"]]:
    """Colours per person and group, and how far (0..1) each replaces the texture's own colour. Skin is left alone.

    The replacement keeps the texture's brightness, as `nbf.synth.scene.Paint` describes.
    """
    cloth = draw_cloth_colors(count * len(GROUPS), generator).reshape(count, len(GROUPS), 3)
    hair = draw_hair_colors(count, generator)
    tint = torch.cat([cloth[:, :HAIR], hair[:, None]], 1)
    chance = torch.tensor([0.0, 0.4, 0.4, 0.3, 0.5], device=generator.device)
    strength = 0.5 + 0.5 * _uniform((count, len(GROUPS)), generator)
    return tint, strength * (_uniform((count, len(GROUPS)), generator) < chance)


def draw_cloth_colors(count: int, generator: torch.Generator) -> Float[Tensor, "count 3"]:
    """Half from the common cloth colours with some jitter, half free hues."""
    palette = CLOTH_COLORS.to(generator.device)
    common = palette[torch.randint(len(palette), (count,), generator=generator, device=generator.device)]
    common = (common + 0.06 * _normal((count, 3), generator)).clamp(0.02, 0.98)
    hue, saturation, value = _uniform((3, count), generator)
    free = hsv_to_rgb(torch.stack([hue, 0.25 + 0.65 * saturation, 0.15 + 0.8 * value], -1))
    return torch.where(_uniform((count, 1), generator) < 0.5, common, free)


def draw_hair_colors(count: int, generator: torch.Generator) -> Float[Tensor, "count 3"]:
    """Natural hair colours with some jitter."""
    palette = HAIR_COLORS.to(generator.device)
    picked = palette[torch.randint(len(palette), (count,), generator=generator, device=generator.device)]
    return (picked * (1 + 0.15 * _normal((count, 1), generator)) + 0.01 * _normal((count, 3), generator)).clamp(
        0.02, 0.95
    )


def recolor(
    textures: UInt8[Tensor, "t h w 4"], regions: UInt8[Tensor, "t h w"], generator: torch.Generator
) -> UInt8[Tensor, "t h w 4"]:
    """Recolour each cloth group of each texture on its own; alpha and texels of group 0 stay.

    A region is kept, or its hue, saturation and value are turned, or it is dyed: one colour times the region's own
    lightness, so that folds and seams stay. Upper and lower may get a pattern printed on top. Hair is dyed naturally.
    """
    out = textures.clone()
    for index in range(len(textures)):  # one at a time: the float copies of a whole stack would take gigabytes
        rgb = textures[index, ..., :3].float() / 255
        for group in range(1, len(GROUPS)):
            # every group draws its numbers whether it is there or not: a texture's look then depends on the seed alone
            recipe = _draw_recipe(group, generator)
            mask = regions[index] == group
            if mask.any():
                rgb = torch.where(mask[..., None], _apply_recipe(recipe, rgb, mask), rgb)
        out[index, ..., :3] = (rgb * 255 + 0.5).clamp(0, 255).to(torch.uint8)
    return out


@dataclass(frozen=True)
class _Recipe:
    mode: float
    natural: bool
    color: Tensor
    hsv: Tensor
    patterned: bool
    pattern: int
    print_color: Tensor
    angle: float
    period: float
    duty: float
    opacity: float
    grid: Tensor


def _draw_recipe(group: int, generator: torch.Generator) -> _Recipe:
    colors = draw_cloth_colors(2, generator)
    hair = draw_hair_colors(1, generator)[0]
    numbers = _uniform((8,), generator).tolist()
    return _Recipe(
        mode=numbers[0],
        natural=group == HAIR,
        color=hair if group == HAIR else colors[0],
        hsv=_uniform((3,), generator),
        patterned=numbers[1] < PATTERN_SHARE and group in (UPPER, LOWER),
        pattern=min(int(numbers[2] * _PATTERNS), _PATTERNS - 1),
        print_color=colors[1],
        angle=(0.0, math.pi / 2, numbers[3] * math.pi)[min(int(numbers[4] * 3), 2)],
        period=8 * (10 ** numbers[5]),  # 8 to 80 texels
        duty=0.2 + 0.5 * numbers[6],
        opacity=0.5 + 0.5 * numbers[7],
        grid=_uniform((1, 1, 24, 24), generator),
    )


def _apply_recipe(recipe: _Recipe, rgb: Float[Tensor, "h w 3"], mask: Tensor) -> Float[Tensor, "h w 3"]:
    if recipe.mode < KEEP_SHARE:
        return rgb
    lightness = rgb.mean(-1, keepdim=True)
    mean = lightness[mask].mean().clamp(min=0.02)
    # the region's shading around 1; dark cloth has more relative contrast, so it is held within limits
    shading = (1 + (lightness - mean) / mean.clamp(min=0.25)).clamp(0.3, 1.7)
    if recipe.mode < KEEP_SHARE + DYE_SHARE or recipe.natural:
        new = recipe.color.to(rgb) * shading
    else:
        turn = recipe.hsv.to(rgb)
        hsv = rgb_to_hsv(rgb)
        new = hsv_to_rgb(
            torch.stack(
                [
                    (hsv[..., 0] + turn[0]) % 1.0,
                    (hsv[..., 1] * (0.4 + 1.2 * turn[1])).clamp(0, 1),
                    (hsv[..., 2] * (0.5 + turn[2])).clamp(0, 1),
                ],
                -1,
            )
        )
    if recipe.patterned:
        cover = recipe.opacity * _pattern(recipe, rgb.shape[0], rgb.shape[1], rgb.device)[..., None]
        new = new * (1 - cover) + recipe.print_color.to(rgb) * shading * cover
    return new.clamp(0, 1)


def _pattern(recipe: _Recipe, height: int, width: int, device: torch.device) -> Float[Tensor, "h w"]:
    y = torch.arange(height, device=device, dtype=torch.float32)[:, None]
    x = torch.arange(width, device=device, dtype=torch.float32)[None, :]
    cos, sin = math.cos(recipe.angle), math.sin(recipe.angle)
    along = ((x * cos + y * sin) / recipe.period) % 1.0
    across = ((y * cos - x * sin) / recipe.period) % 1.0
    if recipe.pattern == 0:
        return (along < recipe.duty).float()
    if recipe.pattern == 1:
        return 0.5 * (along < recipe.duty).float() + 0.5 * (across < recipe.duty).float()
    if recipe.pattern == 2:
        return ((along - 0.5) ** 2 + (across - 0.5) ** 2 < (0.5 * recipe.duty) ** 2).float()
    size = (height, width) if recipe.pattern == 3 else (height // 8, width // 8)
    blotches = torch.nn.functional.interpolate(recipe.grid.to(device), size, mode="bicubic", align_corners=False)[0, 0]
    if recipe.pattern == 4:  # the same grid repeated small: a fine weave
        blotches = blotches.repeat(math.ceil(height / size[0]), math.ceil(width / size[1]))[:height, :width]
    return ((blotches - (1 - recipe.duty)) * 12 + 0.5).clamp(0, 1)


def rgb_to_hsv(rgb: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """Hexcone model (Smith, SIGGRAPH 1978), all of it in [0, 1]."""
    value, _ = rgb.max(-1)
    chroma = value - rgb.min(-1).values
    safe = chroma.clamp(min=1e-8)
    red, green, blue = rgb.unbind(-1)
    hue = torch.where(
        value == red,
        ((green - blue) / safe) % 6,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return torch.stack([torch.where(chroma > 0, hue / 6, 0.0), chroma / value.clamp(min=1e-8), value], -1)


def hsv_to_rgb(hsv: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """Inverse of `rgb_to_hsv`."""
    hue, saturation, value = hsv.unbind(-1)
    steps = (torch.tensor([5.0, 3.0, 1.0], device=hsv.device, dtype=hsv.dtype) + hue[..., None] * 6) % 6
    ramp = torch.minimum(steps, 4 - steps).clamp(0, 1)
    return value[..., None] * (1 - saturation[..., None] * ramp)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)
