"""Places to put behind people that nobody has rights in: drawn ones, papered with photos of the public domain.

The photos are those in scikit-image's package that are CC0 or in the public domain and show nobody
(`skimage.data`, whose docstrings name the licences): a coffee cup, a cat, a rocket, the Hubble deep field, a clock,
brick, grass and gravel. They are cut, tinted and painted onto walls, floors and things.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from numpy.random import Generator
from PIL import Image, ImageFilter
from skimage import data

from nbf.synth.background import BANK_SIDE

Color = Float[ndarray, "h w 3"]
Photos = dict[str, Image.Image]
SIDE = BANK_SIDE
_PHOTOS = {
    "brick": data.brick, "chelsea": data.chelsea, "clock": data.clock, "coffee": data.coffee, "grass": data.grass,
    "gravel": data.gravel, "hubble": data.hubble_deep_field, "rocket": data.rocket,
}  # fmt: skip
_GROUNDS = ("grass", "gravel", "brick", "coffee")
# Grey photos of things that are not grey.
_OWN_COLORS = {"brick": (1.1, 0.75, 0.6), "grass": (0.75, 1.0, 0.5), "gravel": (1.05, 1.0, 0.92)}


def load_photos() -> Photos:
    """The public-domain photos by name, in colour."""
    photos = {name: data_of() for name, data_of in _PHOTOS.items()}
    for name, color in _OWN_COLORS.items():
        photos[name] = np.clip(photos[name][..., None] * np.array(color), 0, 255).astype(np.uint8)
    return {name: Image.fromarray(photo).convert("RGB") for name, photo in photos.items()}


def draw_scenes(count: int, rng: Generator) -> UInt8[ndarray, "n side side 3"]:
    """Rooms, streets and clutter, a third of each."""
    photos = load_photos()
    kinds: tuple[Callable[[Generator, Photos], Color], ...] = (_room, _street, _clutter)
    scenes = []
    for index in range(count):
        picture = Image.fromarray((kinds[index % len(kinds)](rng, photos).clip(0, 1) * 255).astype(np.uint8))
        # Behind people who are in focus little else is.
        scenes.append(np.asarray(picture.filter(ImageFilter.GaussianBlur(float(rng.choice([0.3, 0.7, 1.8]))))))
    return np.stack(scenes)


def _room(rng: Generator, photos: Photos) -> Color:
    """A wall with pictures and windows, a floor in perspective, furniture."""
    foot = int(rng.uniform(0.5, 0.95) * SIDE)
    wall = _paper(rng, photos, foot, SIDE) if rng.random() < 0.4 else _plain(rng, foot, SIDE)
    scene = np.concatenate([wall, _ground(rng, photos, SIDE - foot, rng.uniform(0.05, 0.6) * SIDE)])
    height = int(rng.integers(3, 11))
    scene[foot - height : foot] = _tone(rng, 0.2, 0.95)
    for _ in range(rng.integers(0, 5)):
        # Frames hang above the floor: pictures, windows, doors.
        h, w = rng.integers(35, 130, 2)
        top, left = int(rng.integers(-15, max(foot - h, 1))), int(rng.integers(-30, SIDE - 15))
        _paste(scene, np.full((h, w, 3), _tone(rng, 0.1, 0.95)), top, left)
        inner = _paper(rng, photos, h - 8, w - 8) if rng.random() < 0.7 else _sky(rng, h - 8, w - 8)
        _paste(scene, inner, top + 4, left + 4)
    return _furnished(rng, photos, scene, foot, int(rng.integers(0, 9)))


def _street(rng: Generator, photos: Photos) -> Color:
    """Sky, houses with windows, ground in perspective, things that stand on it."""
    horizon = int(rng.uniform(0.25, 0.75) * SIDE)
    scene = np.concatenate([_sky(rng, horizon, SIDE), _ground(rng, photos, SIDE - horizon, 0.0)])
    left = -int(rng.integers(0, 40))
    while left < SIDE and rng.random() < 0.9:
        w, h = int(rng.integers(25, 120)), int(rng.uniform(0.1, 1.0) * horizon)
        house = _paper(rng, photos, h, w) if rng.random() < 0.4 else _plain(rng, h, w)
        step, dark = int(rng.integers(9, 27)), _tone(rng, 0.05, 0.4)
        rows, columns = np.arange(h)[:, None] % step, np.arange(w)[None] % step
        house[(rows > 0.4 * step) & (columns > 0.45 * step)] = dark
        _paste(scene, house, horizon - h, left)
        left += w + int(rng.integers(0, 27))
    return _furnished(rng, photos, scene, horizon, int(rng.integers(3, 20)))


def _clutter(rng: Generator, photos: Photos) -> Color:
    """Things over things in all sizes: the dead leaves model, whose statistics are those of natural pictures (Lee,
    Mumford & Huang, Occlusion models for natural images, IJCV 2001)."""
    scene = _paper(rng, photos, SIDE, SIDE)
    for _ in range(rng.integers(50, 250)):
        # Areas by a power law: radius with density r^-3 between the smallest and the largest.
        low, high = 9.0**-2, 120.0**-2
        radius = (low - rng.random() * (low - high)) ** -0.5
        h, w = (radius * rng.uniform(0.5, 1.6, 2)).astype(int) + 4
        _thing(rng, photos, scene, h, w, *rng.integers(-h, SIDE, 1), *rng.integers(-w, SIDE, 1))
    return scene


def _furnished(rng: Generator, photos: Photos, scene: Color, foot: int, count: int) -> Color:
    """Things that stand on the ground, from the far to the near ones, which are larger and lower in the picture."""
    for near in np.sort(rng.random(count)):
        size = (0.15 + near) * SIDE
        h, w = (size * rng.uniform(0.08, 0.6, 2)).astype(int) + 4
        if rng.random() < 0.25:
            w = w // 8 + 2  # a pole
        bottom = foot + int(near * (SIDE - foot))
        _thing(rng, photos, scene, h, w, bottom - h, int(rng.integers(-w, SIDE)))
    return scene


def _thing(rng: Generator, photos: Photos, scene: Color, h: int, w: int, top: int, left: int) -> None:
    """A box or something round, papered or plain, lit from one side."""
    paint = _paper(rng, photos, h, w) if rng.random() < 0.5 else _plain(rng, h, w)
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    paint *= (1 + rng.uniform(-0.35, 0.35) * x + rng.uniform(-0.2, 0.2) * y)[..., None]
    _paste(scene, paint, top, left, x**2 + y**2 < 1 if rng.random() < 0.4 else np.ones((h, w), bool))


def _paste(scene: Color, picture: Color, top: int, left: int, mask: Bool[ndarray, "h w"] | None = None) -> None:
    h, w = picture.shape[:2]
    rows, columns = slice(max(top, 0), max(top + h, 0)), slice(max(left, 0), max(left + w, 0))
    there = scene[rows, columns]
    offset = max(-top, 0), max(-left, 0)
    here = slice(offset[0], offset[0] + there.shape[0]), slice(offset[1], offset[1] + there.shape[1])
    seen = np.ones(there.shape[:2], bool) if mask is None else mask[here]
    there[seen] = picture[here][seen]


def _paper(rng: Generator, photos: Photos, h: int, w: int) -> Color:
    """A window of a photo, turned on its side, mirrored and tinted, or stripes."""
    if rng.random() < 0.15:
        turn, step = rng.uniform(0, np.pi), rng.uniform(4, 27)
        y, x = np.mgrid[:h, :w]
        stripe = np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / step) > rng.uniform(-0.7, 0.7)
        return np.where(stripe[..., None], _tone(rng, 0.1, 0.9), _tone(rng, 0.1, 0.9))
    photo = photos[str(rng.choice(list(photos)))]
    turned = rng.random() < 0.5
    wide, high = (h, w) if turned else (w, h)
    size = rng.uniform(0.3, 1.0) * min(photo.width / wide, photo.height / high) * np.array([wide, high])
    left, top = rng.uniform(0, np.array(photo.size) - size)
    box = (left, top, left + size[0], top + size[1])
    window = np.asarray(photo.resize((wide, high), Image.Resampling.BILINEAR, box=box)) / 255
    return _tinted(rng, (window.swapaxes(0, 1) if turned else window)[:, :: rng.choice([-1, 1])])


def _tinted(rng: Generator, picture: Color) -> Color:
    """The same between its own colours and its brightness times a tone."""
    own = rng.uniform(0.2, 1.0)
    return own * picture + (1 - own) * picture.mean(-1, keepdims=True) * _tone(rng, 0.7, 1.6)


def _plain(rng: Generator, h: int, w: int) -> Color:
    """One colour, unevenly lit, a little rough."""
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    lit = 1 + rng.normal(0, 0.12) * x + rng.normal(0, 0.12) * y + rng.normal(0, rng.uniform(0, 0.05), (h, w))
    return _tone(rng, 0.1, 0.95) * lit[..., None]


def _sky(rng: Generator, h: int, w: int) -> Color:
    """From one bright colour to another, with soft clouds."""
    down = np.linspace(0, 1, h)[:, None, None]
    high, low = np.array([0.45, 0.6, 0.85]) * rng.uniform(0.6, 1.1), _tone(rng, 0.6, 1.0)
    coarse = Image.fromarray((rng.random((6, 9)) * 255).astype(np.uint8))
    clouds = np.asarray(coarse.resize((w, h), Image.Resampling.BICUBIC)) / 255
    return high * (1 - down) + low * down + rng.uniform(0, 0.4) * (clouds[..., None] - 0.5)


def _ground(rng: Generator, photos: Photos, h: int, above: float) -> Color:
    """A level ground seen in perspective, from `above` pixels below the horizon on down, paved with a photo."""
    tile = _tinted(rng, np.asarray(photos[str(rng.choice(_GROUNDS))]) / 255)
    rows, columns = np.mgrid[:h, :SIDE] + 0.5
    depth = SIDE / (rows + above + 3)
    scale = rng.uniform(40, 170)
    u, v = (columns - SIDE / 2) / SIDE * depth * scale, depth * scale
    # Mirrored at its borders, a tile goes on without a seam.
    index = [np.abs((a + shift) % (2 * n) - n).astype(int).clip(0, n - 1) for a, shift, n in
             ((v, rng.uniform(0, 999), tile.shape[0]), (u, rng.uniform(0, 999), tile.shape[1]))]  # fmt: skip
    fade = np.clip(scale * depth / 1400, 0, 1)[..., None]
    return tile[index[0], index[1]] * (1 - fade) + tile.mean((0, 1)) * fade


def _tone(rng: Generator, darkest: float, brightest: float) -> Float[ndarray, " 3"]:
    """A grey with some colour."""
    return rng.uniform(darkest, brightest) * (1 + rng.normal(0, 0.11, 3))
