"""One protocol for labelled pictures: what the adapter of each data set gives, and all that trains, measures or draws
takes.

Adapters speak this project's conventions: pixels of the picture as it is given, centres at half-integers; boxes
(x0, y0, x1, y1); metres; OpenCV's camera axes; `left_*` is the person's own left. What a data set does not say is None
or of weight 0. Pictures, part maps and masks are read when they are asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar, overload, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray

from nbf.data.joint_orders import ORDERS, places
from nbf.data.readers.pixels import read_rgb
from nbf.errors import DataError
from nbf.geometry.camera import Camera

UNKNOWN = 25  # label: a person, part unknown
_ROOM = 1.15  # of a box around joints over the joints themselves
IGNORE = 26  # label: neither person nor background (carried things, other people, unsure pixels)


@dataclass(frozen=True, eq=False)
class JointLabels:
    """Joints of one person, in the picture or in space."""

    order: str
    """A key of `nbf.data.joint_orders.ORDERS`."""
    points: Float[ndarray, "j d"]
    """x, y in pixels; or x, y, z in metres, in the frame that the field says which they stand in."""
    weight: Float[ndarray, " j"]
    """How far each can be trusted, 0 (unknown) to 1."""

    def __post_init__(self) -> None:
        count = len(ORDERS[self.order])
        if len(self.points) != count or len(self.weight) != count:
            raise DataError(
                f"joints: expected {count} of {self.order}, got {len(self.points)} and {len(self.weight)} weights"
            )

    def to(self, order: str) -> "JointLabels":
        """The same joints in another order, those that it shares by name; the others have weight 0."""
        return self if order == self.order else JointLabels(order, *self.pick(ORDERS[order]))

    def pick(self, names: Sequence[str]) -> tuple[Float[ndarray, "n d"], Float[ndarray, " n"]]:
        """Points and weights of joints by name; weight 0 of those that are not labelled."""
        index = places(self.order, names)
        there = index >= 0
        points = np.where(there[:, None], self.points[index], 0)
        return points.astype(self.points.dtype), np.where(there, self.weight[index], 0)

    def rows(self) -> Float32[ndarray, "j d_plus_1"]:
        """The points with their weights in the last column."""
        return np.concatenate([self.points, self.weight[:, None]], axis=1).astype(np.float32)

    @staticmethod
    def of(order: str, rows: Float[ndarray, "j d_plus_1"]) -> "JointLabels":
        """The inverse of `rows`."""
        return JointLabels(order, rows[:, :-1], rows[:, -1])


@dataclass(frozen=True, eq=False)
class BodyLabel:
    """Parameters of a body model, posed in a world of its own.

    Which body they mean only their model's file can tell: the root turns about the pelvis, and where that lies depends
    on the shape (`nbf.data.placed.in_camera` brings a body into the camera's frame).
    """

    model: str
    """smpl, smplh, smplx or anny24."""
    gender: str
    """neutral, female or male: which of the model's files."""
    betas: Float32[ndarray, " s"]
    pose: Float32[ndarray, "24 3"]
    """Axis-angle, parent_from_joint in SMPL's order; the root's is world_from_body."""
    translation: Float32[ndarray, " 3"] | None
    """Metres, as `BodyModel.forward` takes it, in the world; None where it is unknown."""
    camera_from_world: Float[ndarray, "3 4"] = field(default_factory=lambda: np.eye(3, 4))
    """Rotation and translation (metres)."""
    pelvis: Float32[ndarray, " 3"] | None = None
    """The root joint in the world, metres, where a data set says this and no translation."""

    @property
    def is_placed(self) -> bool:
        """Whether it is known where the body stands."""
        return self.translation is not None or self.pelvis is not None


@dataclass(frozen=True, eq=False)
class LabelledPerson:
    """What is known of one person in a picture."""

    box: Float32[ndarray, " 4"] | None = None
    """Pixels."""
    joints_2d: JointLabels | None = None
    """Pixels."""
    joints_3d: JointLabels | None = None
    """Metres in the camera's frame; absolute unless `relative`."""
    relative: bool = False
    """The joints in space are known up to a shift only."""
    body: BodyLabel | None = None
    name: str = ""
    """Who it is within a recording, for protocols that follow people."""
    head: float | None = None
    """Pixels: what PCKh measures errors in, 0.6 of the diagonal of the head's box (Andriluka et al., CVPR 2014)."""
    ignore: bool = False
    """Nobody knows who is in the box, if anybody: it is neither person nor background."""

    def bounds(self) -> Float32[ndarray, " 4"] | None:
        """The labelled box, else one around the labelled joints with a little room; None where there are neither."""
        if self.box is not None or self.joints_2d is None:
            return self.box
        there = self.joints_2d.points[self.joints_2d.weight > 0]
        if len(there) < 2:
            return None
        low, high = there.min(0), there.max(0)
        middle, half = (low + high) / 2, (high - low) * _ROOM / 2
        return np.concatenate([middle - half, middle + half]).astype(np.float32)

    def keypoints(self) -> Float32[ndarray, "17 3"]:
        """COCO-17 (x, y, weight) in pixels; weight 0 where unknown."""
        if self.joints_2d is None:
            return np.zeros((17, 3), np.float32)
        return self.joints_2d.to("coco17").rows()


@dataclass(frozen=True, eq=False)
class LensCamera:
    """A measured camera: pinhole with OpenCV's distortion (Brown, "Decentering distortion of lenses", 1966)."""

    focal: Float[ndarray, " 2"]
    """Pixels, along x and y."""
    center: Float[ndarray, " 2"]
    distortion: Float[ndarray, " 5"] = field(default_factory=lambda: np.zeros(5))
    """k1, k2, p1, p2, k3."""

    def project(self, points: Float[ndarray, "*n 3"]) -> Float[ndarray, "*n 2"]:
        """Pixels of points in camera metres, distorted as the picture is."""
        k1, k2, p1, p2, k3 = self.distortion
        x, y = np.moveaxis(points[..., :2] / points[..., 2:], -1, 0)
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        return np.stack([u, v], axis=-1) * self.focal + self.center

    def pinhole(self) -> Camera:
        """The nearest camera of ours: square pixels, no distortion."""
        return Camera(
            torch.tensor(float(np.mean(self.focal))), torch.from_numpy(np.asarray(self.center, np.float32).copy())
        )


@dataclass(frozen=True)
class Frame:
    """Where in a recording a picture is from: what protocols choose pictures by."""

    sequence: str
    """One recording by one camera."""
    index: int
    """Of the picture in it, from 0."""
    subject: str = ""
    action: str = ""
    trial: int = 0
    """Which time the subject did the action, from 1 (Human3.6M's sub-actions); 0 unknown."""
    camera: str = ""


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label for each pixel."""

    scheme: str
    """What labels mean: `parts24` is ours (`nbf.body.parts`, and UNKNOWN, IGNORE); `mask` 0 nobody, 1 somebody, IGNORE;
    others are told by the data set that has them."""
    read: Callable[[], UInt8[ndarray, "h w"]]


@runtime_checkable
class PictureSource(Protocol):
    """A picture that is not a file of its own: a frame of a film, a member of an archive."""

    def read(self) -> UInt8[ndarray, "h w 3"]:
        """RGB. Raises DataError where it is missing or damaged."""
        ...


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """One picture with the people that are labelled in it."""

    name: str
    """Unique within its data set."""
    source: Path | PictureSource
    people: tuple[LabelledPerson, ...]
    split: str = ""
    camera: LensCamera | None = None
    maps: tuple[LabelMap, ...] = ()
    frame: Frame | None = None
    complete: bool = True
    """Everybody has a box: what lies in none is background."""
    clean_mask: bool = False
    """The mask is sharp enough to cut the people out."""

    def pixels(self) -> UInt8[ndarray, "h w 3"]:
        """RGB. Raises DataError where the file is missing or damaged."""
        return read_rgb(self.source) if isinstance(self.source, Path) else self.source.read()

    def labels(self, scheme: str = "parts24") -> UInt8[ndarray, "h w"]:
        """The label map of a scheme, read anew. Raises DataError where there is none, or its file is damaged."""
        for each in self.maps:
            if each.scheme == scheme:
                return each.read()
        has = ", ".join(each.scheme for each in self.maps) or "none"
        raise DataError(f"{self.name}: expected a label map of the scheme {scheme}, got a picture with {has}")


@runtime_checkable
class Pictures(Protocol):
    """A data set, or one split of it: a list, or `Lazy` where it is long."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int, /) -> LabelledPicture: ...
    @overload
    def __getitem__(self, index: slice, /) -> "Pictures": ...
    def __iter__(self) -> Iterator[LabelledPicture]: ...


T = TypeVar("T")


class Lazy(Generic[T]):
    """Items that are made when they are asked for, as often as they are."""

    def __init__(self, count: int, make: Callable[[int], T]) -> None:
        self._rows, self._make = range(count), make

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int, /) -> T: ...
    @overload
    def __getitem__(self, index: slice, /) -> "Lazy[T]": ...
    def __getitem__(self, index: int | slice, /) -> "T | Lazy[T]":
        if not isinstance(index, slice):
            return self._make(self._rows[index])
        some = Lazy(0, self._make)
        some._rows = self._rows[index]
        return some

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self._rows)


def extent(joints: JointLabels) -> Float32[ndarray, " 4"] | None:
    """The box around those joints in a picture that are known, if any is."""
    known = joints.points[joints.weight > 0]
    return np.concatenate([known.min(axis=0), known.max(axis=0)]).astype(np.float32) if len(known) else None


def join_labels(parts: UInt8[ndarray, "h w"], mask: UInt8[ndarray, "h w"]) -> UInt8[ndarray, "h w"]:
    """A part map (0 where there is none) and a mask (1 person, 2 unsure) as labels of the scheme `parts24`."""
    labels = np.where((mask == 1) & (parts == 0), UNKNOWN, parts)
    return np.where(mask == 2, IGNORE, labels).astype(np.uint8)
