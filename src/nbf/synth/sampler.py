"""Labelled synthetic people, drawn on the training device: poses, shapes, clothes, view and light put together."""

import copy
import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from nbf.body.files import load_body
from nbf.body.model import BodyModel, BodyOutput
from nbf.geometry.camera import Camera
from nbf.raster.zbuffer import Fragments
from nbf.synth import degrade, light, occluders, view
from nbf.synth.background import Backgrounds
from nbf.synth.labels import label_maps
from nbf.synth.outfit import Closet, body_piece
from nbf.synth.poses import PoseLibrary
from nbf.synth.room import Room
from nbf.synth.scene import Paint, Posed, Soup, Wearing, draw, look_at, pose_crowd, shade
from nbf.synth.view import ViewConfig
from nbf.synth.wardrobe import Wardrobe

logger = logging.getLogger(__name__)

STRIDE = 4
"""Label maps are coarser than the picture by this factor."""
Split = Literal["train", "test"]
# Pictures drawn together on a CPU: what is computed for them then fits its cache and the allocator keeps the memory.
_PICTURES_CPU = 8


@dataclass(frozen=True)
class SamplerConfig:
    """What the synthetic people look like."""

    resolution: int = 256
    """Side of the crop in pixels; labels are a quarter of it."""
    view: ViewConfig = field(default_factory=ViewConfig)
    """Camera placement and framing."""
    bystanders: float = 0.35
    """People beside, behind or before the labelled one, per picture."""
    occluded: float = 0.3
    """Probability of a thing in front of the person."""
    shape_noise: float = 0.15
    """Standard deviation added to the drawn shape coefficients."""
    room: Room | None = None
    """Stand people in this room instead of placing them before photos."""


class Sampler:
    """Draws labelled batches; the same seed, device and arguments give the same batches.

    Batches are dicts with `image (n,3,r,r)`, `labels (n,r,r)` the part that each pixel sees, `parts (n,25,r/4,r/4)`
    soft one-hot labels, `surface (n,3,r/4,r/4)` with `surface_mask`, `keypoints (n,17,3)` (COCO-17, crop pixels and
    weight), `betas`, `rotations` cam_from_body, `translation`, `focal` and `center` of the crop camera, `joints_3d` and
    `vertices` camera metres, `joints_2d` crop pixels, `ignore` (nothing is) and `real` (False).
    """

    def __init__(
        self,
        closet: Closet,
        poses: PoseLibrary,
        backgrounds: Backgrounds,
        split: Split,
        seed: int = 0,
        config: SamplerConfig = SamplerConfig(),
    ) -> None:
        self.closet, self.poses, self.backgrounds = closet, poses, backgrounds
        self.split: Split = split
        self.config = config
        self.generator = Generator(closet.textures.device).manual_seed(seed)

    @classmethod
    def load(
        cls,
        cache: Path,
        split: Split,
        seed: int = 0,
        device: torch.device | str = "cpu",
        config: SamplerConfig = SamplerConfig(),
    ) -> "Sampler":
        """Sampler over the files that `tools/pack_training.py` leaves in `cache`; what is missing is replaced."""
        body = load_body("anny24", "full")
        wardrobe = None
        if (cache / "wardrobe.npz").is_file():
            wardrobe = Wardrobe.load(cache / "wardrobe.npz")
        else:
            logger.warning("no wardrobe in %s: people wear painted clothes", cache)
        poses = PoseLibrary.load(cache / "poses.npz", device=device)
        backgrounds = Backgrounds.load(cache / "backgrounds.npz", split, device)
        return cls(Closet.build(body, wardrobe, split, device), poses, backgrounds, split, seed, config)

    def like(self, config: SamplerConfig) -> "Sampler":
        """A sampler of another configuration that shares everything else with this one, the random generator too."""
        other = copy.copy(self)
        other.config = config
        return other

    @property
    def body(self) -> BodyModel:
        """The full-detail body whose parameters the samples carry."""
        return self.closet.body

    @cached_property
    def small(self) -> BodyModel:
        """The same body at the small level of detail."""
        return load_body("anny24", "small").to(self.generator.device)

    def sample(self, count: int, picture: bool = True) -> dict[str, Tensor]:
        """A batch of `count` labelled people; without `picture` only the labels are drawn, at half the resolution."""
        people = self._people(count, self.body)
        side = self.config.resolution if picture else self.config.resolution // 2
        camera = people.camera.scaled(side / self.config.resolution)
        beyond, hidden = self._masks(people, side)
        wearing, bare = self.closet.dress(people.info[:, 1], self.generator)
        posed = pose_crowd(wearing, people.betas, people.crowd)
        soup = look_at(posed, people.image, camera.focal, camera.center, side, lit=picture)
        paint = self.closet.paint(bare, self.generator) if picture else None
        drawn = []
        for part in _runs(count, camera.focal.device):
            rows = soup.of_images(part.start, part.stop)
            fragments = draw(rows, part.stop - part.start, side, self.closet.textures)
            drawn.append(self._labels(rows, fragments, part, ~beyond[part] & ~hidden[part]))
            if paint is not None:
                here = Camera(camera.focal[part], camera.center[part])
                image = self._picture(rows, fragments, here, paint, hidden[part], people.crowd.vertices[part])
                drawn[-1]["image"] = image * ~beyond[part, None]
        return {name: torch.cat([each[name] for each in drawn]) for name in drawn[0]} | self._truth(people, self.body)

    def sample_bare(self, count: int) -> dict[str, Tensor]:
        """Labels alone, as `sample(count, picture=False)`, of naked people: at a fraction of the time.

        They are bodies of the small level of detail (so are `vertices`), drawn at the resolution of the labels.
        """
        people = self._people(count, self.small)
        side = self.config.resolution // STRIDE
        camera = people.camera.scaled(1 / STRIDE)
        beyond, hidden = self._masks(people, side)
        everyone = torch.arange(len(people.betas), device=people.betas.device)
        wear = Wearing(body_piece(self.small), everyone, torch.zeros_like(everyone))
        posed = [Posed(wear, people.crowd.vertices.mT.contiguous())]
        soup = look_at(posed, people.image, camera.focal, camera.center, side, lit=False)
        fragments = draw(soup, count, side, self.closet.textures)
        return self._labels(soup, fragments, slice(0, count), ~beyond & ~hidden) | self._truth(people, self.small)

    def sample_skeletons(self, count: int) -> dict[str, Tensor]:
        """The labels that are numbers, of people whom nobody rasterises: at a seventh of the time of naked ones."""
        return self._truth(self._people(count, self.small), self.small)

    def _people(self, count: int, body: BodyModel) -> "_People":
        """`count` labelled people and some bystanders, posed, placed and framed."""
        config = self.config
        extra = round(config.bystanders * count)
        betas, info = self.draw_shapes(count + extra)
        image = torch.cat([torch.arange(count, device=betas.device), self._integers(count, extra)])
        rotations, pelvis = self._placements(count, image, info)
        translation = pelvis - body.rest_joints(betas)[:, 0]
        crowd = body(betas, rotations, translation)
        if config.room is not None:
            crowd, translation = config.room.stand(crowd, translation, self.generator)
        camera, photo = view.frame_person(crowd.vertices[:count], config.resolution, config.view, self.generator)
        return _People(betas, info, image, rotations, translation, crowd, camera, photo)

    def _masks(
        self, people: "_People", side: int
    ) -> tuple[Bool[Tensor, "n {side} {side}"], Bool[Tensor, "n {side} {side}"]]:
        """Pixels beyond the photo, and pixels where something is in front of everybody."""
        beyond = occluders.outside(people.photo * (side / self.config.resolution), side)
        return beyond, occluders.sample_masks(len(people.photo), side, self.config.occluded, self.generator)

    def _integers(self, below: int, count: int) -> Int[Tensor, " count"]:
        return torch.randint(below, (count,), generator=self.generator, device=self.generator.device)

    def draw_shapes(self, count: int) -> tuple[Float[Tensor, "n s"], Float[Tensor, "n k"]]:
        """Shape coefficients of random people and their `BodyModel.shape_info` (age, gender, height, mass)."""
        pick = self._integers(len(self.body.shape_samples), count)
        betas = self.body.shape_samples[pick].float()
        noise = view.normal(tuple(betas.shape), self.config.shape_noise, self.generator)
        return betas + noise, self.body.shape_info[pick].float()

    def draw_rotations(self, image: Int[Tensor, " p"], count: int) -> Float[Tensor, "p 24 3 3"]:
        """Random poses in the camera frame; people of the same picture are seen by the same camera."""
        poses = self.poses.sample(len(image), self.generator, self.split)
        views = view.sample_view_rotations(count, self.config.view, self.generator)[image]
        root = views @ view.sample_headings(len(image), self.generator) @ poses[:, 0]
        return torch.cat([root[:, None], poses[:, 1:]], 1)

    def _placements(
        self, count: int, image: Int[Tensor, " p"], info: Float[Tensor, "p k"]
    ) -> tuple[Float[Tensor, "p 24 3 3"], Float[Tensor, "p 3"]]:
        """Rotations in the camera frame and pelvis positions: labelled people first, then bystanders near them."""
        generator, extra = self.generator, len(image) - count
        rotations = self.draw_rotations(image, count)
        pelvis = view.sample_translations(info[:count, 2], self.config.view, generator)
        sideways = view.normal((extra, 1), 0.7, generator)
        beside = torch.cat(
            [sideways, view.normal((extra, 1), 0.1, generator), view.uniform((extra, 1), -0.6, 2.5, generator)], -1
        )
        # Nobody stands inside somebody else: those who are near in depth step aside.
        beside[:, 0] += torch.where(beside[:, 2].abs() < 0.5, 0.6, 0.0) * beside[:, 0].sign()
        others = pelvis[image[count:]] + beside
        others[:, 2] = others[:, 2].clamp(min=1.0)
        return rotations, torch.cat([pelvis, others])

    def _labels(
        self, soup: Soup, fragments: Fragments, part: slice, allowed: Bool[Tensor, "n r r"]
    ) -> dict[str, Tensor]:
        """Label maps of the people of a run of pictures (person i is the one of picture i)."""
        side, count, device = self.config.resolution // STRIDE, part.stop - part.start, allowed.device
        person = torch.arange(part.start, part.stop, device=device)
        return label_maps(soup, fragments, person, allowed, side) | {
            "ignore": torch.zeros(count, side, side, dtype=torch.bool, device=device),
            "real": torch.zeros(count, dtype=torch.bool, device=device),
        }

    def _picture(
        self,
        soup: Soup,
        fragments: Fragments,
        camera: Camera,
        paint: Paint,
        hidden: Bool[Tensor, "n r r"],
        vertices: Float[Tensor, "n v 3"],
    ) -> Float[Tensor, "n 3 r r"]:
        """The people before a background, behind other pieces of background where `hidden`, as a camera sees it."""
        count, side, generator = len(hidden), hidden.shape[-1], self.generator
        lights = light.sample_lights(count, generator)
        gloss = view.uniform((count,), 0.0, 0.25, generator)
        people = shade(soup, fragments, camera, paint, lights, gloss).permute(0, 3, 1, 2).contiguous()
        if self.config.room is None:
            behind = self.backgrounds.sample(count, side, generator)
        else:
            behind = self.config.room.draw(camera, vertices, side, generator)
        scene = torch.where(fragments.mask[:, None], people, behind)
        covered = hidden.any(-1).any(-1).nonzero()[:, 0]
        before = self.backgrounds.sample(len(covered), side, generator)
        scene[covered] = torch.where(hidden[covered, None], before, scene[covered])
        return degrade.degrade(scene, generator)

    def _truth(self, people: "_People", body: BodyModel) -> dict[str, Tensor]:
        """Labels that are numbers."""
        camera, photo, count = people.camera, people.photo, len(people.photo)
        crowd = BodyOutput(*(getattr(people.crowd, name)[:count] for name in ("vertices", "joints", "transforms")))
        points = camera.project(body.keypoints(crowd, "coco17"))
        side = self.config.resolution
        inside = (points > photo[:, None, :2].clamp(min=0)) & (points < photo[:, None, 2:].clamp(max=side))
        return {
            "keypoints": torch.cat([points, inside.all(-1, keepdim=True).float()], -1),
            "betas": people.betas[:count],
            "rotations": people.rotations[:count],
            "translation": people.translation[:count],
            "focal": camera.focal,
            "center": camera.center,
            "joints_3d": crowd.joints,
            "joints_2d": camera.project(crowd.joints),
            "vertices": crowd.vertices,
        }


@dataclass(frozen=True)
class _People:
    """p people on n pictures: those who are labelled, in the order of the pictures, then bystanders."""

    betas: Float[Tensor, "p s"]
    info: Float[Tensor, "p k"]
    image: Int[Tensor, " p"]
    rotations: Float[Tensor, "p 24 3 3"]
    translation: Float[Tensor, "p 3"]
    crowd: BodyOutput
    camera: Camera
    photo: Float[Tensor, "n 4"]


def _runs(count: int, device: torch.device) -> list[slice]:
    """Pictures that are drawn together."""
    step = _PICTURES_CPU if device.type == "cpu" else max(count, 1)
    return [slice(first, min(first + step, count)) for first in range(0, count, step)]
