"""Pictures of people spoilt in one way each, more or less: at strength 0 they are as they were."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import interpolate, pad

from nbf.body.bodies import Bodies
from nbf.experiments.measuring import Subjects
from nbf.geometry import Camera, CropMove
from nbf.nets.mirror import from_sides, in_sides
from nbf.proxy.proxy import Crops
from nbf.train.batch import mixed_seed

GREY = 0.5
DISPLAY_GAMMA = 2.2
"""Of sRGB, about: pictures' values to light."""
_REACH = 3.0  # standard deviations of a blur that are taken into account


@dataclass(frozen=True)
class Spoiler:
    """One way to spoil pictures."""

    unit: str
    """Of its strengths."""
    strengths: tuple[float, ...]
    """Above none, rising."""
    act: Callable[[Subjects, float, Generator], Subjects]

    def spoil(self, people: Subjects, strength: float, number: int = 0) -> Subjects:
        """The people at a strength; what is random in it is the same for every strength, and another for each
        `number` of a group of people."""
        if not strength:
            return people
        return self.act(people, strength, Generator().manual_seed(mixed_seed("spoiling", number)))


def _pictures(change: Callable[[Tensor, float, Generator], Tensor]) -> Callable[[Subjects, float, Generator], Subjects]:
    """Of a change of pictures (n,3,r,r) in [0, 1], one of people who stay what they are."""

    def act(people: Subjects, strength: float, generator: Generator) -> Subjects:
        changed = change(people.crops.image, strength, generator).clamp(0, 1)
        return replace(people, crops=replace(people.crops, image=changed))

    return act


def occluded(people: Subjects, share: float, generator: Generator) -> Subjects:
    """A grey rectangle over a share of each person's box, of the box's proportions, anywhere within it."""
    truth = people.crops.truth
    assert truth is not None
    assert truth.silhouette is not None
    image, side = people.crops.image.clone(), people.crops.image.shape[-1]
    cell = side / truth.silhouette.shape[-1]
    for picture, seen in zip(image, truth.silhouette > 0.5):
        place = torch.rand(2, generator=generator)
        if not seen.any():
            continue
        cells = seen.nonzero()
        low, high = cells.amin(0) * cell, (cells.amax(0) + 1) * cell
        size = (high - low) * math.sqrt(share)
        start = low + place * (high - low - size)
        (top, left), (bottom, right) = start.round().int().tolist(), (start + size).round().int().tolist()
        picture[:, top:bottom, left:right] = GREY
    return replace(people, crops=replace(people.crops, image=image))


def truncated(image: Float[Tensor, "n 3 r r"], share: float, generator: Generator) -> Float[Tensor, "n 3 r r"]:
    """The lower share of each crop black, as where a photo ends."""
    image = image.clone()
    image[:, :, round(image.shape[2] * (1 - share)) :] = 0
    return image


def blurred(image: Float[Tensor, "n 3 r r"], sigma: float, generator: Generator) -> Float[Tensor, "n 3 r r"]:
    """Gaussian blur of so many pixels."""
    reach = math.ceil(_REACH * sigma)
    offsets = torch.arange(-reach, reach + 1).to(image)
    taps = torch.exp(-0.5 * (offsets / sigma) ** 2)
    taps = (taps / taps.sum()).expand(3, 1, 1, -1)
    for axis in (taps, taps.mT):
        margin = (reach, reach, 0, 0) if axis is taps else (0, 0, reach, reach)
        image = torch.conv2d(pad(image, margin, mode="replicate"), axis, groups=3)
    return image


def noisy(image: Float[Tensor, "n 3 r r"], sigma: float, generator: Generator) -> Float[Tensor, "n 3 r r"]:
    """Independent noise of each value, of a standard deviation as a share of white."""
    return image + sigma * torch.randn(image.shape, generator=generator).to(image)


def dark(image: Float[Tensor, "n 3 r r"], stops: float, generator: Generator) -> Float[Tensor, "n 3 r r"]:
    """With so many times half of the light, stored in 8 bits as before."""
    return (image * 2 ** (-stops / DISPLAY_GAMMA) * 255).round() / 255


def coarse(image: Float[Tensor, "n 3 r r"], factor: float, generator: Generator) -> Float[Tensor, "n 3 r r"]:
    """With so many times fewer pixels a side, enlarged again."""
    small = interpolate(image, size=(round(image.shape[2] / factor), round(image.shape[3] / factor)), mode="area")
    return interpolate(small, size=image.shape[2:], mode="bilinear", align_corners=False)


def turned(people: Subjects, degrees: float, generator: Generator) -> Subjects:
    """The crop, the camera and the people turned about the crop's middle, clockwise as one looks at the picture: what
    a camera that is held askew would see. Corners that the first picture did not show are black."""
    crops, true = people.crops, people.true
    count = len(crops)
    move = CropMove(torch.full((count,), math.radians(degrees)), torch.ones(count), torch.zeros(count, 2))
    camera = Camera(crops.camera.focal, in_sides(move.points(from_sides(crops.camera.center[:, None])))[:, 0])
    turn = torch.eye(3).repeat(count, 1, 1)
    turn[:, :2, :2] = move.rotation()
    rotations = torch.cat([(turn @ true.rotations[:, 0])[:, None], true.rotations[:, 1:]], 1)
    pelvis = (turn @ true.pelvis[..., None])[..., 0]
    # What was truly seen would have to be turned, too, and nobody asks for it.
    return Subjects(Crops(move.picture(crops.image), camera), Bodies(true.betas, rotations, pelvis))


SPOILERS: dict[str, Spoiler] = {
    "occlusion": Spoiler("share of the person's box", (0.1, 0.25, 0.5), occluded),
    "truncation": Spoiler("share of the crop", (0.2, 0.35, 0.5), _pictures(truncated)),
    "blur": Spoiler("pixels", (2, 4, 8), _pictures(blurred)),
    "noise": Spoiler("share of white", (0.1, 0.2, 0.4), _pictures(noisy)),
    "low-light": Spoiler("stops", (2, 4, 6), _pictures(dark)),
    "resolution": Spoiler("times fewer pixels a side", (4, 8, 16), _pictures(coarse)),
    "turn": Spoiler("degrees", (45, 90, 180), turned),
}
"""By their names."""
