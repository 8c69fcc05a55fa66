"""What is seen of people in a picture, and what sees it."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.errors import InputError
from nbf.geometry import Camera, Crop
from nbf.nets.mirror import from_sides, in_sides, mirror_keypoints, mirror_parts, mirror_surface


@dataclass(frozen=True)
class Proxy:
    """The 2D evidence of n people, each in a square crop of the picture; None where nobody looked for a kind of it.

    Lengths are crop sides: 0 is the left or top edge of the crop, 1 the right or bottom one.
    """

    camera: Camera
    """Of the crops."""
    parts: Float[Tensor, "n 25 m m"] | None = None
    """Probabilities of background and the 24 parts (`nbf.body.parts`)."""
    joints: Float[Tensor, "n 17 3"] | None = None
    """COCO-17 as a network sees them: x, y and a score in [0, 1]."""
    marked: Float[Tensor, "n 17 3"] | None = None
    """COCO-17 as somebody who knows better has marked them: x, y and a weight from 0 (unknown) to 1."""
    pinned: Float[Tensor, "n 17 3"] | None = None
    """COCO-17 that somebody holds to a place: x, y and 1 where one is held, all 0 where not."""
    silhouette: Float[Tensor, "n m m"] | None = None
    """Probability of the person."""
    surface: Float[Tensor, "n 3 m m"] | None = None
    """Canonical surface coordinates in [0, 1], where the person is."""
    image: Float[Tensor, "n 3 r r"] | None = None
    """The crops themselves, RGB in [0, 1]."""

    def __len__(self) -> int:
        return len(self.camera.focal)

    def __getitem__(self, people: slice | Tensor) -> "Proxy":
        kinds = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "camera"}
        some = {name: None if value is None else value[people] for name, value in kinds.items()}
        return Proxy(self.camera[people], **some)

    def __or__(self, other: "Proxy") -> "Proxy":
        """With what another proxy of the same crops has of the kinds that this one lacks."""
        lacking = [each.name for each in fields(self) if getattr(self, each.name) is None]
        return replace(self, **{name: getattr(other, name) for name in lacking})


@dataclass(frozen=True)
class Crops:
    """n people as crops of a picture, for a `See` to look at."""

    image: Float[Tensor, "n 3 r r"]
    """RGB in [0, 1], each person in the middle."""
    camera: Camera
    """Of the crops, in crop sides."""
    truth: Proxy | None = None
    """What is really there, of people who were drawn."""

    @classmethod
    def of(cls, image: Tensor, camera: Camera, crops: Crop) -> "Crops":
        """Of a picture (3, h, w), uint8 or [0, 1], taken by `camera`."""
        return cls(crops.sample(image), crops.camera(camera).scaled(1 / crops.resolution))

    def __len__(self) -> int:
        return len(self.image)


See = Callable[[Crops], Proxy]
"""What takes the evidence from the picture."""


class Truth:
    """Sees what is truly there, of people who were drawn."""

    def __init__(self, *kinds: str) -> None:
        """`kinds` are names of a proxy's fields, such as parts, joints and silhouette."""
        self.kinds = kinds

    def __call__(self, crops: Crops) -> Proxy:
        """Raises InputError where nobody knows it."""
        known = {kind: None if crops.truth is None else getattr(crops.truth, kind) for kind in self.kinds}
        for kind, value in known.items():
            if value is None:
                raise InputError(
                    f"crops: expected some whose true {kind} are known, as the benchmark's (parts, joints, "
                    "silhouette); photos have none"
                )
        return Proxy(crops.camera, **known)


class Rgb:
    """Sees the picture itself."""

    def __call__(self, crops: Crops) -> Proxy:
        return Proxy(crops.camera, image=crops.image)


def silhouette(parts: Float[Tensor, "n 25 m m"]) -> Float[Tensor, "n m m"]:
    """Of part maps: whatever is not background."""
    return 1 - parts[:, 0]


def mirrored(proxy: Proxy) -> Proxy:
    """The evidence of the mirrored picture: left is right."""

    def points(seen: Tensor) -> Tensor:
        return in_sides(mirror_keypoints(from_sides(seen)))

    def columns(picture: Tensor) -> Tensor:
        return picture.flip(-1)

    how = {"parts": mirror_parts, "joints": points, "marked": points, "pinned": points}
    how |= {"silhouette": columns, "surface": mirror_surface, "image": columns}
    seen = {name: getattr(proxy, name) for name in how}
    flip = proxy.camera.center.new_tensor([-1.0, 1.0])
    camera = Camera(proxy.camera.focal, proxy.camera.center * flip + flip.new_tensor([1.0, 0.0]))
    return Proxy(camera, **{name: how[name](value) for name, value in seen.items() if value is not None})


def kinds(proxy: Proxy) -> list[str]:
    """Names of the kinds of evidence that somebody looked for."""
    return [each.name for each in fields(proxy) if each.name != "camera" and getattr(proxy, each.name) is not None]


def stacked(*proxies: Proxy) -> Proxy:
    """The people of several proxies with evidence of the same kinds."""
    camera = Camera.joined([each.camera for each in proxies])
    seen = {name: torch.cat([getattr(each, name) for each in proxies]) for name in kinds(proxies[0])}
    return Proxy(camera, **seen)


def seen_joints(proxy: Proxy) -> Float[Tensor, "n 17 3"]:
    """The joints of a proxy; zeros where nobody looked for any."""
    return proxy.camera.center.new_zeros(len(proxy), 17, 3) if proxy.joints is None else proxy.joints


def joints_of(proxy: Proxy) -> Float[Tensor, "n 17 3"]:
    """COCO-17 in crop sides, with weights: as pinned or marked, the others as seen. Raises InputError where there are
    none."""
    if proxy.joints is None and not told_joints(proxy):
        raise InputError("proxy: expected joints, to which this method fits bodies, got none; see them, or mark them")
    joints = seen_joints(proxy)
    for told in (proxy.marked, proxy.pinned):
        if told is not None:
            joints = torch.where(told[..., 2:] > 0, told, joints)
    return joints


def told_joints(proxy: Proxy) -> bool:
    """Whether somebody who knows better has marked or pinned joints."""
    return proxy.marked is not None or proxy.pinned is not None


def in_picture(joints: Float[Tensor, "n k 3"], crops: Crop) -> Float[Tensor, "n k 3"]:
    """Points of crops (x, y in crop sides, and something else) -> the same, x and y in pixels of the picture."""
    return torch.cat([crops.to_image(joints[..., :2] * crops.resolution), joints[..., 2:]], dim=-1)


def in_crops(joints: Float[Tensor, "n k 3"], crops: Crop) -> Float[Tensor, "n k 3"]:
    """The inverse of `in_picture`."""
    return torch.cat([crops.to_crop(joints[..., :2]) / crops.resolution, joints[..., 2:]], dim=-1)
