"""People of data sets as samples to learn from, read when they are asked for: crops with all that their labels say."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, interpolate

from nbf.body.joints import SMPL24
from nbf.body.model import BodyModel
from nbf.data.bodies import SetBodies
from nbf.data.catalogue import named
from nbf.data.labelled import JointLabels, LabelledPicture, Pictures
from nbf.data.placed import Placed, in_camera
from nbf.errors import DataError
from nbf.geometry import Camera, Crop, matrix_from_axis_angle
from nbf.nets.segmenter import INPUT_SIZE, STRIDE
from nbf.raster.zbuffer import rasterize
from nbf.synth.labels import soft_one_hot
from nbf.synth.view import normal, uniform
from nbf.train.batch import Batch, concatenate
from nbf.train.body_task import HIPS
from nbf.train.packs import compress
from nbf.train.photo_crops import soften

logger = logging.getLogger(__name__)

SHARE = 0.25
"""Of a batch that is a data set's, if nothing else is said."""
ZOOM, SHIFT = (0.85, 1.25), 0.06
"""Range of the side of crops over what prediction takes; standard deviation of their displacement in crop sides."""
LEAST_SIDE = 16.0
"""Pixels of the longer side of a box below which there is nothing to see."""
LEAST_JOINTS = 5
"""Labelled joints of somebody without a body from which there is something to learn."""
# Pictures in a row that cannot be used before a data set counts as broken.
_TRIES = 50
_NOBODY = (0.0, 0.0, 5.0)  # where a body stands that is not known, and does not count


Needs = Literal["body", "map", "joints"]
"""What there must be to learn from: a body; that or a map of parts with some joints; or some joints at least."""


@dataclass(frozen=True)
class SetsConfig:
    """Data sets to learn from beside drawn people."""

    sets: tuple[str, ...] = ()
    """NAME:FOLDER or NAME:FOLDER@SHARE; the share is of every batch (a quarter if not given), drawn people are the
    rest. docs/datasets says which names there are."""
    bodies: tuple[Path, ...] = ()
    """Files of `nbf data bodies`: bodies for the people of these sets."""
    split: str = "train"
    """Which pictures of them."""
    test_split: str = ""
    """Which of them to validate on; if not given, drawn people."""


class LabelledCrops:
    """Random people of a data set, cropped as uncertainly as a locator would."""

    def __init__(
        self,
        pictures: Pictures,
        body: BodyModel,
        bodies: SetBodies | None = None,
        model: str = "anny24",
        *,
        needs: Needs = "map",
    ) -> None:
        """
        Args:
            pictures: the data set.
            body: the model whose parameters are learnt.
            bodies: the people's bodies in that model; those that a data set has in it (`model`) it needs no file for.
            model: what labels call the model.
            needs: what people need to be of use.
        """
        self.pictures, self.body, self.bodies, self.model, self.needs = pictures, body, bodies, model, needs

    def sample(self, count: int, resolution: int, generator: Generator) -> Batch:
        """`count` random people, as packs of `nbf draw --kind pictures` hold people, and `labelled_2d`, `labelled_3d`,
        `ignore` as batches do. The picture has `resolution` pixels a side.

        Raises:
            DataError: nearly no picture can be used.
        """
        with ThreadPoolExecutor() as pool:
            seeds = torch.randint(1 << 62, (count,), generator=generator).tolist()
            rows = list(pool.map(partial(self._one, resolution), seeds))
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def _one(self, resolution: int, seed: int) -> Batch:
        generator, fault = Generator().manual_seed(seed), "nobody in it has labels that are of use"
        for _ in range(_TRIES):
            index = int(torch.randint(len(self.pictures), (1,), generator=generator))
            try:
                picture = self.pictures[index]
                people = [each for each in range(len(picture.people)) if self._useful(picture, each)]
                if people:
                    chosen = people[int(torch.randint(len(people), (1,), generator=generator))]
                    return self._cropped(picture, chosen, resolution, generator)
            except DataError as error:
                logger.warning("left out: %s", error)
                fault = str(error)
        raise DataError(f"{_TRIES} pictures in a row are of no use to learn from, the last since {fault}")

    def _useful(self, picture: LabelledPicture, index: int) -> bool:
        person = picture.people[index]
        box = person.bounds()
        if person.ignore or box is None or float((box[2:] - box[:2]).max()) < LEAST_SIDE:
            return False
        if self._has_body(picture, index):
            return True
        labelled = person.joints_2d is not None and int((person.joints_2d.weight > 0).sum()) >= LEAST_JOINTS
        return labelled and (self.needs == "joints" or (self.needs == "map" and _mapped(picture)))

    def _has_body(self, picture: LabelledPicture, index: int) -> bool:
        label = picture.people[index].body
        placed = label is not None and label.is_placed and label.model == self.model
        if placed and label is not None and len(label.betas) == self.body.shape_count:
            return True
        return self.bodies is not None and (picture.name, index) in self.bodies.rows

    def _placed(self, picture: LabelledPicture, index: int) -> Placed | None:
        label = picture.people[index].body
        if not self._has_body(picture, index):
            return None
        if self.bodies is not None and (row := self.bodies.rows.get((picture.name, index))) is not None:
            values = (self.bodies.betas[row], self.bodies.pose[row], self.bodies.translation[row])
            betas, pose, translation = (torch.from_numpy(value) for value in values)
            return Placed(betas, matrix_from_axis_angle(pose), translation)
        assert label is not None  # as `_has_body` says
        return in_camera(label, self.body)

    def _cropped(self, picture: LabelledPicture, index: int, resolution: int, generator: Generator) -> Batch:
        person, pixels = picture.people[index], torch.from_numpy(picture.pixels().copy()).permute(2, 0, 1)
        height, width = pixels.shape[1:]
        lens = Camera.default(width, height) if picture.camera is None else picture.camera.pinhole()
        box = person.bounds()
        assert box is not None  # as `_useful` says
        crop = Crop.from_boxes(torch.from_numpy(box).float(), INPUT_SIZE)
        side = crop.size * uniform((), *ZOOM, generator)
        crop = Crop(crop.center + normal((2,), SHIFT, generator) * side, side, INPUT_SIZE)
        camera, placed = crop.camera(lens), self._placed(picture, index)
        shown = Crop(crop.center[None], crop.size[None], resolution).sample(pixels)[0]
        parts, ignore, surface = self._maps(picture, crop, camera, placed)
        body = placed or Placed(
            torch.zeros(self.body.shape_count), torch.eye(3).repeat(24, 1, 1), torch.tensor(_NOBODY)
        )
        keypoints = torch.from_numpy(person.keypoints())
        return {
            "image": (shown * 255).round().byte(),
            "parts": compress(parts[None])[0],
            "ignore": ignore,
            "surface": (surface * 255).round().byte(),
            "betas": body.betas,
            "rotations": body.rotations,
            "translation": body.translation,
            "focal": camera.focal,
            "center": camera.center,
            "keypoints": _in_crop(keypoints, crop),
            "has_body": torch.tensor(placed is not None),
            "labelled_2d": _in_crop(_smpl24(person.joints_2d, 2), crop) * (placed is None),
            "labelled_3d": _about_hips(_smpl24(person.joints_3d, 3)) * (placed is None),
        }

    def _maps(
        self, picture: LabelledPicture, crop: Crop, camera: Camera, placed: Placed | None
    ) -> tuple[Float[Tensor, "25 64 64"], Tensor, Float[Tensor, "3 64 64"]]:
        """Shares of parts, what to ignore, and surface coordinates; of our own labels if there are any, else drawn."""
        side = INPUT_SIZE // STRIDE
        nothing = torch.zeros(3, side, side)
        if _mapped(picture):
            shares, ignore = soften(_read(torch.from_numpy(picture.labels().copy()), crop, 2 * side)[None].long())
            return shares[0], ignore[0], nothing
        if placed is None:
            background = soft_one_hot(torch.zeros(1, INPUT_SIZE, INPUT_SIZE, dtype=torch.long), STRIDE)
            return background[0], torch.ones(side, side, dtype=torch.bool), nothing
        with torch.no_grad():
            vertices = self.body(*(value[None] for value in placed)).vertices
        seen = rasterize(camera.pixels_depth(vertices), self.body.faces, INPUT_SIZE, INPUT_SIZE)
        labels = torch.where(seen.mask, self.body.face_parts[seen.face.clamp(min=0)], 0)
        corners = self.body.surface[self.body.faces[seen.face.clamp(min=0)[0]]]
        surface = (corners * seen.barycentrics[0][..., None]).sum(-2).movedim(-1, 0) * seen.mask
        small = interpolate(seen.mask[:, None].float(), (side, side), mode="area")
        cells = avg_pool2d(surface[None], STRIDE) / small.clamp(min=1e-6)
        return (
            soft_one_hot(labels, STRIDE)[0],
            torch.zeros(side, side, dtype=torch.bool),
            (cells * (small > 0.5))[0].clamp(0, 1),
        )


def _mapped(picture: LabelledPicture) -> bool:
    return any(each.scheme == "parts24" for each in picture.maps)


def open_sets(
    config: SetsConfig, batch: int, body: BodyModel, model: str = "anny24", *, needs: Needs = "map"
) -> list[tuple[LabelledCrops, int]]:
    """The data sets of a configuration with their samples a batch.

    Raises:
        DataError: a set cannot be read, or shares sum to more than one.
    """
    files: dict[str, list[SetBodies]] = {}
    for file in map(SetBodies.load, config.bodies):
        files.setdefault(file.data, []).append(file)
    opened = []
    for text in config.sets:
        place, share = _shared(text)
        kind, folder = named(place)
        bodies = SetBodies.joined(files[kind.name]) if kind.name in files else None
        crops = LabelledCrops(kind.open(folder, config.split), body, bodies, model, needs=needs)
        opened.append((crops, round(share * batch)))
    if sum(count for _, count in opened) > batch:
        raise DataError(f"sets: expected shares that sum to one at most, got {', '.join(config.sets)}")
    return opened


def _shared(text: str) -> tuple[str, float]:
    place, at, share = text.rpartition("@")
    try:
        value = float(share) if at else SHARE
    except ValueError:
        return text, SHARE  # an @ in the folder's name
    if not 0 < value <= 1:
        raise DataError(f"sets: expected a share above 0, up to 1, got {text!r}")
    return place if at else text, value


def _read(labels: Tensor, crop: Crop, side: int) -> Tensor:
    """The labels under the cells of a crop, background beyond the picture."""
    steps = (torch.arange(side) + 0.5) * (INPUT_SIZE / side)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(-1, 2)
    x, y = crop.to_image(grid).floor().long().unbind(-1)
    height, width = labels.shape
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    found = labels[y.clamp(0, height - 1), x.clamp(0, width - 1)]
    return torch.where(inside, found, 0).reshape(side, side)


def _in_crop(joints: Tensor, crop: Crop) -> Tensor:
    """Joints (x, y, weight) of the picture in pixels of the crop; of weight 0 beside it."""
    points = crop.to_crop(joints[:, :2])
    inside = ((points >= 0) & (points <= INPUT_SIZE)).all(-1, keepdim=True)
    return torch.cat([points, joints[:, 2:] * inside], -1)


def _smpl24(labels: JointLabels | None, dimensions: int) -> Tensor:
    """Labelled joints as the body's own, by name, with weights last."""
    if labels is None:
        return torch.zeros(len(SMPL24), dimensions + 1)
    return torch.from_numpy(labels.to("smpl24").rows())


def _about_hips(joints: Tensor) -> Tensor:
    """Relative to the mid-point of the hips; of weight 0 where these are not labelled."""
    hips = joints[list(HIPS)]
    return torch.cat([joints[:, :3] - hips[:, :3].mean(0), joints[:, 3:] * (hips[:, 3].amin() > 0)], -1)


def labelled_rows(sets: Sequence[tuple[LabelledCrops, int]], resolution: int, generator: Generator) -> Batch:
    """So many people of each set, in one batch."""
    return concatenate([crops.sample(count, resolution, generator) for crops, count in sets if count])
