"""MakeHuman's skins for the body's own texture coordinates, each with an eyeball pasted into an empty corner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8
from mhclo import read_material
from PIL import Image

from nbf.errors import DataError
from nbf.synth.wardrobe import SIDE, Skin

# What training never sees.
TEST_SKINS = frozenset({"young_african_female", "middleage_caucasian_male", "old_asian_male", "young_asian_female"})
# hm08's eye helpers (vertices): the person's left and right eyeball.
LEFT_EYE, RIGHT_EYE = (14598, 14669), (14670, 14741)
# Where the eyeball lies in a skin texture, as u, v of its middle and its half width (v downwards). Only the clothing
# helpers of the base mesh have their coordinates there, and these are never drawn.
_EYE_PATCH = (0.91, 0.09, 0.07)
# In MakeHuman's eye textures: middle and radius of one eyeball (README of the pack, v downwards here).
_EYE_SOURCE = (0.707, 1 - 0.704, 0.24)
_BROWN, _LIGHT_EYES = "brownlight_eye.png", ("blue_eye.png", "brownlight_eye.png", "grey_eye.png", "green_eye.png")


def corner_uv_with_eyes(
    uv: Float[np.ndarray, "F 3 2"],
    points: Float[np.ndarray, "V 3"],
    faces: Integer[np.ndarray, "F 3"],
    base_index: Integer[np.ndarray, "V"],
) -> Float[np.ndarray, "F 3 2"]:
    """The body's texture coordinates per face corner; eyes look up the pasted eyeball, mapped from the front."""
    out = uv.copy()
    u, v, radius = _EYE_PATCH
    for first, last in (LEFT_EYE, RIGHT_EYE):
        eye = (base_index >= first) & (base_index <= last)
        if not eye.any():
            continue
        low, high = points[eye].min(0), points[eye].max(0)
        scale = 0.97 * radius / (0.5 * (high[0] - low[0]))
        flat = (points[:, :2] - 0.5 * (low + high)[:2]) * scale * (1, -1) + (u, v)
        mine = eye[faces].all(1)
        out[mine] = flat[faces[mine]]
    return out


def make_skins(pack: Path) -> tuple[Skin, ...]:
    """All skins of the pack at SIDE texels. Raises DataError if a texture is missing."""
    skins = []
    for number, path in enumerate(sorted(pack.glob("skins/*/*.mhmat"))):
        texture = read_material(path)
        if not texture.is_file():
            raise DataError(f"{texture}: skin texture missing; restore the wardrobe pack")
        words = path.stem.split("_")
        dark = "african" in words or "asian" in words
        eye = _BROWN if dark else _LIGHT_EYES[number % len(_LIGHT_EYES)]
        pixels = _with_eye(texture, pack / "eyes" / "materials" / eye, 0.55 if dark else 1.0)
        skins.append(
            Skin(
                name=path.stem,
                gender="female" if any(word.startswith("female") for word in words) else "male",
                age=words[0],
                split="test" if path.stem in TEST_SKINS else "train",
                suited="special" in words,
                texture=torch.from_numpy(pixels),
            )
        )
    return tuple(skins)


def _with_eye(skin: Path, eye: Path, iris_shade: float) -> UInt8[np.ndarray, "side side 4"]:
    with Image.open(skin) as image:
        picture = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    with Image.open(eye) as image:
        x, y, r = (value * image.width for value in _EYE_SOURCE)
        ball = image.convert("RGB").crop((round(x - r), round(y - r), round(x + r), round(y + r)))
    u, v, radius = (value * SIDE for value in _EYE_PATCH)
    box = (round(u - radius), round(v - radius), round(u + radius), round(v + radius))
    pixels = np.asarray(ball.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.LANCZOS)).astype(np.float32)
    across = np.linspace(-1, 1, len(pixels))
    iris = (across[:, None] ** 2 + across[None, :] ** 2 < 0.5**2)[..., None]
    # the textures' white is a reddish grey that is made for strong light
    pixels = np.where(iris, pixels * iris_shade, pixels * 1.15 + 8).clip(0, 255)
    picture.paste(Image.fromarray(pixels.astype(np.uint8)), box[:2])
    return np.array(picture.convert("RGBA"))
