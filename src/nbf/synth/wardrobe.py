"""The wardrobe: MakeHuman's garments, hair and skins on our body, as plain data in one file.

tools/tailor.py makes it from ../shared/assets/makehuman; `Wardrobe.load` reads it back. Every garment is a linear
blend shape mesh on the body's own coefficients and joints, so posing it is the same sum and skinning as for the body.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from torch import Tensor

from nbf.arguments import shown
from nbf.errors import DataError
from nbf.reading import Array, Damaged, fitted, from_json, read_any_npz, refusing

SIDE = 512  # texels along each side of every texture
FORMAT = 1
_LONGEST_SIDE = 4096
_GARMENT_NAMES, _SKIN_NAMES = ("name", "kind", "gender", "split"), ("name", "gender", "age", "split")
# As they are stored.
_GARMENT = {
    "rest": Array(np.uint16, ("n", 3)),
    "shape_dirs": Array(np.float16, ("n", 3, "s")),
    "skin_joints": Array(np.uint8, ("n", "k"), high=23),
    "skin_weights": Array(np.uint16, ("n", "k")),
    "surface": Array(np.uint16, ("n", 3)),
    "faces": Array(np.uint16, ("f", 3)),
    "uv": Array(np.uint16, ("f", 3, 2)),
    "parts": Array(np.uint8, ("f",), high=24),
    "regions": Array(np.uint8, ("f",)),
    "texture": Array(np.uint8, ("bytes",)),
    "region_map": Array(np.uint8, ("h", "w")),
    "hides": Array(np.uint8, ("packed",)),
    "hides_count": Array(np.int64, ()),
}
_MIN_POSITION, _POSITION_STEP = -2.0, 4.0 / 65535  # metres; 16 bits over [-2, 2] m leave 0.03 mm


@dataclass(frozen=True)
class Garment:
    """One piece of clothing, in the body's T-pose and frame (metres).

    `uv` runs over [0, 1], v downwards as image rows. `parts` are body parts 1..24, `regions` recolouring groups
    (nbf.synth.recolor.GROUPS), `region_map` the same per texel. `hides` marks the faces of the full-detail body that
    it covers.
    """

    name: str
    kind: str
    gender: str
    split: str
    rest: Float[Tensor, "n 3"]
    shape_dirs: Float[Tensor, "n 3 S"]
    skin_joints: Int[Tensor, "n K"]
    skin_weights: Float[Tensor, "n K"]
    surface: Float[Tensor, "n 3"]
    faces: Int[Tensor, "f 3"]
    uv: Float[Tensor, "f 3 2"]
    parts: Int[Tensor, " f"]
    regions: Int[Tensor, " f"]
    texture: UInt8[Tensor, "h w 4"]
    region_map: UInt8[Tensor, "h w"]
    hides: Bool[Tensor, " F"]

    @property
    def transparent(self) -> bool:
        """Whether texels below half alpha must be discarded. All garments are open surfaces: draw both sides."""
        return self.kind == "hair"


@dataclass(frozen=True)
class Skin:
    """A skin texture for the body; gender is male or female, age young, middleage or old.

    `suited` skins have a dark body suit painted on.
    """

    name: str
    gender: str
    age: str
    split: str
    suited: bool
    texture: UInt8[Tensor, "h w 4"]


@dataclass(frozen=True)
class Wardrobe:
    """All garments and skins. `body_uv`: texture coordinates of the full-detail body's face corners, v downwards.

    They are the body's own except for the eyes, which look up an eyeball that is copied into every skin.
    """

    garments: tuple[Garment, ...]
    skins: tuple[Skin, ...]
    body_uv: Float[Tensor, "F 3 2"]

    def check(self, body_faces: int) -> None:
        """Raises DataError if the wardrobe was made for another full-detail body than one of `body_faces` faces."""
        if len(self.body_uv) != body_faces:
            raise DataError(
                f"the wardrobe is made for a body of {len(self.body_uv)} faces, got one of {body_faces}; "
                "build it anew with `python tools/tailor.py`"
            )

    def pick(self, kind: str, split: str | None = None, gender: str | None = None) -> list[Garment]:
        """Garments of a kind (suit, shoes, hair, hat), of a split and for a gender (those for any always count)."""
        return [
            garment
            for garment in self.garments
            if garment.kind == kind
            and split in (None, garment.split)
            and (garment.gender == "any" or gender in (None, garment.gender))
        ]

    def pick_skins(self, split: str | None = None, gender: str | None = None) -> list[Skin]:
        """Skins of a split and gender."""
        return [skin for skin in self.skins if split in (None, skin.split) and gender in (None, skin.gender)]

    def save(self, path: Path) -> None:
        """Write one .npz: quantised geometry, textures as JPEG (opaque) or WebP (with alpha) bytes."""
        arrays: dict[str, Any] = {"body_uv": _quantise_uv(self.body_uv)}
        index = {"format": FORMAT, "garments": [], "skins": []}
        for number, garment in enumerate(self.garments):
            index["garments"].append({key: getattr(garment, key) for key in ("name", "kind", "gender", "split")})
            for key, value in _pack_garment(garment).items():
                arrays[f"garment{number}/{key}"] = value
        for number, skin in enumerate(self.skins):
            index["skins"].append({key: getattr(skin, key) for key in ("name", "gender", "age", "split", "suited")})
            arrays[f"skin{number}/texture"] = _encode(skin.texture)
        arrays["index"] = np.frombuffer(json.dumps(index).encode(), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **arrays)

    @staticmethod
    def load(path: Path) -> Wardrobe:
        """Read a file written by `save`. Raises DataError if it is missing, damaged or of another format."""
        if not path.is_file():
            raise DataError(f"{path}: no wardrobe here; make it with `python tools/tailor.py` (needs ../shared)")
        with refusing(DataError, path, "a wardrobe file", "build it anew"):
            held = read_any_npz(path)
            try:
                index = from_json(held["index"].tobytes())
                if index["format"] != FORMAT:
                    raise Damaged(f"expected wardrobe format {FORMAT}, got {shown(index['format'])}")
                garments = tuple(
                    Garment(**_named(entry, _GARMENT_NAMES), **_unpack_garment(held, f"garment{number}/"))
                    for number, entry in enumerate(index["garments"])
                )
                skins = tuple(
                    Skin(**_named(entry, _SKIN_NAMES), suited=bool(entry["suited"]), texture=_texture(held, number))
                    for number, entry in enumerate(index["skins"])
                )
                body_uv = fitted(held, {"body_uv": Array(np.uint16, ("faces", 3, 2))})["body_uv"]
            # Of an index that says other things.
            except (LookupError, TypeError, AttributeError) as error:
                raise Damaged(f"{type(error).__name__} {error}"[:200]) from error
        return Wardrobe(garments, skins, _restore_uv(body_uv))


def _named(entry: dict[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    if not all(isinstance(entry[name], str) for name in names):
        raise Damaged(f"expected names for {', '.join(names)}")
    return {name: entry[name] for name in names}


def _texture(held: dict[str, np.ndarray], skin: int) -> Tensor:
    name = f"skin{skin}/texture"
    return _decode(fitted(held, {name: Array(np.uint8, ("bytes",))})[name])


def _pack_garment(garment: Garment) -> dict[str, np.ndarray]:
    position = (garment.rest.double().numpy() - _MIN_POSITION) / _POSITION_STEP
    return {
        "rest": np.rint(position).astype(np.uint16),
        "shape_dirs": garment.shape_dirs.numpy().astype(np.float16),
        "skin_joints": garment.skin_joints.numpy().astype(np.uint8),
        "skin_weights": np.rint(garment.skin_weights.numpy() * 65535).astype(np.uint16),
        "surface": np.rint(garment.surface.numpy() * 65535).astype(np.uint16),
        "faces": garment.faces.numpy().astype(np.uint16),
        "uv": _quantise_uv(garment.uv),
        "parts": garment.parts.numpy().astype(np.uint8),
        "regions": garment.regions.numpy().astype(np.uint8),
        "texture": _encode(garment.texture),
        "region_map": garment.region_map.numpy(),
        "hides": np.packbits(garment.hides.numpy()),
        "hides_count": np.array(len(garment.hides)),
    }


def _unpack_garment(held: dict[str, np.ndarray], prefix: str) -> dict[str, Any]:
    """Raises Damaged."""
    own = {name.removeprefix(prefix): array for name, array in held.items() if name.startswith(prefix)}
    kept = fitted(own, _GARMENT)
    count = int(kept["hides_count"])
    if kept["faces"].max(initial=0) >= len(kept["rest"]) or not 0 <= count <= 8 * len(kept["hides"]):
        raise Damaged("a garment whose faces or hidden faces are out of range")
    weights = torch.from_numpy(kept["skin_weights"].astype(np.float32))
    if not bool((weights.sum(1) > 0).all()):
        raise Damaged("a garment with vertices that no joint moves")
    return {
        "rest": torch.from_numpy((kept["rest"] * _POSITION_STEP + _MIN_POSITION).astype(np.float32)),
        "shape_dirs": torch.from_numpy(kept["shape_dirs"].astype(np.float32)),
        "skin_joints": _integers(kept["skin_joints"]),
        "skin_weights": weights / weights.sum(1, keepdim=True),
        "surface": torch.from_numpy(kept["surface"].astype(np.float32) / 65535),
        "faces": _integers(kept["faces"]),
        "uv": _restore_uv(kept["uv"]),
        "parts": _integers(kept["parts"]),
        "regions": _integers(kept["regions"]),
        "texture": _decode(kept["texture"]),
        "region_map": torch.from_numpy(kept["region_map"]),
        "hides": torch.from_numpy(np.unpackbits(kept["hides"], count=count).astype(bool)),
    }


def _integers(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.int64))


def _quantise_uv(uv: Tensor) -> np.ndarray:
    return np.rint(uv.clamp(0, 1).double().numpy() * 65535).astype(np.uint16)


def _restore_uv(values: np.ndarray) -> Tensor:
    return torch.from_numpy((values / 65535).astype(np.float32))


def _encode(texture: Tensor) -> np.ndarray:
    pixels, stream = texture.numpy(), io.BytesIO()
    if (pixels[..., 3] == 255).all():
        Image.fromarray(pixels[..., :3]).save(stream, "JPEG", quality=90, subsampling=0)
    else:
        Image.fromarray(pixels).save(stream, "WEBP", quality=88, alpha_quality=100, exact=True)
    return np.frombuffer(stream.getvalue(), np.uint8)


def _decode(data: np.ndarray) -> Tensor:
    """Raises Damaged."""
    try:
        with Image.open(io.BytesIO(data.tobytes()), formats=("JPEG", "WEBP")) as image:
            if max(image.size) > _LONGEST_SIDE:
                raise Damaged(f"a texture of {image.width} x {image.height}, of at most {_LONGEST_SIDE} a side")
            return torch.from_numpy(np.array(image.convert("RGBA")))
    except Damaged:
        raise
    # Decoders of damaged files raise whatever their parsers happen to meet.
    except Exception as error:
        raise Damaged(f"a texture that cannot be decoded: {error}"[:200]) from error


def stack_textures(items: Iterable[Garment | Skin]) -> UInt8[Tensor, "t h w 4"]:
    """Textures of garments and skins in one stack, in the order given."""
    return torch.stack([item.texture for item in items])


def stack_region_maps(items: Iterable[Garment | Skin]) -> UInt8[Tensor, "t h w"]:
    """Recolouring groups per texel for `stack_textures`; skins are all group 0."""
    return torch.stack(
        [
            item.region_map if isinstance(item, Garment) else torch.zeros(item.texture.shape[:2], dtype=torch.uint8)
            for item in items
        ]
    )
