"""Labels over pictures: boxes, joints with their bones, label maps. The person's left is blue, their right red."""

import colorsys
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from nbf.body.parts import COLORS
from nbf.render.overlay import over

RGB = tuple[int, int, int]

_SIDES = ("left", "right")
_LIMBS = (
    *(("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand"), ("hip", "knee"), ("knee", "ankle")),
    *(("ankle", "foot"), ("ankle", "heel"), ("ankle", "big_toe"), ("big_toe", "small_toe"), ("eye", "ear")),
    ("collar", "shoulder"),
)
_SPINE = (
    *("pelvis", "smpl_pelvis", "spine1", "spine", "spine2", "spine3", "thorax", "neck", "smpl_neck", "jaw"),
    *("head", "smpl_head", "head_top"),
)
# What stands in for the upper end of the trunk, and for the lower: the first that there is.
_TOPS = ("thorax", "neck", "smpl_neck", "neck_openpose")
_BOTTOMS = ("pelvis", "smpl_pelvis", "pelvis_openpose")
_TRUSTED = 0.5

_BLUE, _RED, _GREEN = (40, 120, 255), (240, 50, 50), (60, 210, 90)
_PALE_BLUE, _PALE_RED, _PALE_GREEN = (170, 215, 255), (255, 190, 170), (215, 255, 215)
_BLACK, _BOX, _IGNORED = (0, 0, 0), (255, 220, 0), (150, 150, 150)
_OPACITY = 0.8


def bones(seen: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of joints to join by lines, whatever joints are there; names as in `nbf.data.joint_orders`."""
    spine = [name for name in _SPINE if name in seen]
    top = next((name for name in _TOPS if name in seen), "")
    bottom = next((name for name in _BOTTOMS if name in seen), "")
    pairs = [*pairwise(spine)]
    for side in _SIDES:
        pairs += [(f"{side}_{start}", f"{side}_{end}") for start, end in _LIMBS]
        collar = f"{side}_collar"
        pairs += [(top, collar if collar in seen else f"{side}_shoulder"), (bottom, f"{side}_hip")]
        pairs.append(("nose", f"{side}_eye"))
        if not (top and bottom):
            pairs.append((f"{side}_shoulder", f"{side}_hip"))
    if not top:
        pairs.append(("left_shoulder", "right_shoulder"))
    if not bottom:
        pairs.append(("left_hip", "right_hip"))
    if {top, bottom} - set(spine):
        pairs.append((top, bottom))
    if not {"jaw", "head", "smpl_head", "head_top"} & set(seen):
        pairs.append((top, "nose"))
    return [(start, end) for start, end in pairs if start in seen and end in seen]


def draw_joints(
    picture: Image.Image,
    names: Sequence[str],
    points: Float[np.ndarray, "j 2"],
    weight: Float[np.ndarray, " j"],
    pale: bool = False,
) -> None:
    """Draw one person's joints on a picture, in its pixels; those of weight 0 are left out.

    Joints of a weight below a half are rings. `pale` lines are thin and light: they can be seen on others, as those of
    projected joints on the labelled ones.
    """
    place: dict[str, int] = {}
    for index, name in enumerate(names):  # an order may list a name twice: the last one that is known counts
        if weight[index] > 0 and np.isfinite(points[index]).all():
            place[name] = index
    # Far outside, lines cost time and show nothing.
    limit = 4 * max(picture.size)
    at = {name: tuple(float(x) for x in points[index]) for name, index in place.items()}
    at = {name: point for name, point in at.items() if max(map(abs, point)) < limit}
    pen, wide, lines = ImageDraw.Draw(picture), 1 if pale else 3, bones(list(at))
    if not pale:
        for start, end in lines:
            pen.line([at[start], at[end]], fill=_BLACK, width=wide + 2)
    for start, end in lines:
        pen.line([at[start], at[end]], fill=_color(start, end, pale=pale), width=wide)
    for name, (x, y) in at.items():
        color, radius = _color(name, pale=pale), 2 if pale else 3
        ring = [x - radius, y - radius, x + radius, y + radius]
        pen.ellipse(ring, fill=color if weight[place[name]] >= _TRUSTED else None, outline=_BLACK if pale else color)


def draw_box(picture: Image.Image, box: Float[np.ndarray, " 4"], ignore: bool = False) -> None:
    """Draw a box (x0, y0, x1, y1) on a picture, in its pixels; a grey one, crossed out, if it is to be ignored."""
    pen, (x0, y0, x1, y1) = ImageDraw.Draw(picture), box.tolist()
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    pen.line(corners, fill=_IGNORED if ignore else _BOX, width=1 if ignore else 2)
    if ignore:
        pen.line([corners[0], corners[2]], fill=_IGNORED)
        pen.line([corners[1], corners[3]], fill=_IGNORED)


def over_labels(
    picture: Image.Image, labels: UInt8[np.ndarray, "h w"], special: Mapping[int, RGB] | None = None
) -> Image.Image:
    """Labels in colours over a picture of any size; label 0 shows the picture.

    Args:
        picture: what they belong to.
        labels: 1 to 24 in the colours of body parts, further ones in others.
        special: colours of labels that mean something of their own.
    """
    palette = np.zeros((256, 4), np.float32)
    palette[:, :3] = [colorsys.hsv_to_rgb(index * 0.618 % 1, 0.6, 1) for index in range(256)]
    palette[: len(COLORS), :3] = COLORS / 255
    for label, color in (special or {}).items():
        palette[label, :3] = np.array(color) / 255
    palette[1:, 3] = 1
    palette[0] = 0
    nearest = np.asarray(Image.fromarray(labels).resize(picture.size, Image.Resampling.NEAREST))
    return over(picture, torch.from_numpy(palette[nearest]), _OPACITY)


def _color(*names: str, pale: bool) -> RGB:
    blue, red, green = (_PALE_BLUE, _PALE_RED, _PALE_GREEN) if pale else (_BLUE, _RED, _GREEN)
    # A bone between a side and the middle has the side's colour, one from side to side neither's.
    sides = {name.split("_")[0] for name in names} & set(_SIDES)
    return green if len(sides) != 1 else blue if "left" in sides else red
