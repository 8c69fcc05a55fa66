"""The whole line, picture -> people, top to bottom in `Predictor.predict`: locate, see, solve, people."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nbf.body.model import BodyOutput
from nbf.certainty import Certainty
from nbf.errors import InputError, NbfError
from nbf.geometry import Camera, Crop
from nbf.known import (
    NOTHING,
    Gaussian,
    Known,
    checked_boxes,
    checked_keypoints,
    checked_max_people,
    checked_min_score,
    checked_parts,
    picture_camera,
)
from nbf.locate import locate
from nbf.methods import method as method_of
from nbf.methods import segmented
from nbf.nets.blocks import for_inference, multiplies_bfloat16
from nbf.nets.locator import MIN_SCORE, LocatorOutput, locate_both_ways
from nbf.nets.segmenter import INPUT_SIZE
from nbf.networks import Networks
from nbf.people import PartMap, People, Person
from nbf.pictures import Picture, PictureLike, find_photos, read_picture
from nbf.proxy.keypoint_files import match_boxes
from nbf.proxy.part_files import connected_to, part_shares
from nbf.proxy.proxy import Crops, Proxy, in_crops, in_picture, seen_joints, silhouette
from nbf.proxy.segmented import Segmented
from nbf.solve.fit import Fit, Method
from nbf.solve.levenberg import REASONS
from nbf.solve.uncertainty import cells_beyond, part_visibility
from nbf.suppression import CANDIDATE, LIKELY, distinct_seen, kept, probability

log = logging.getLogger(__name__)

# Variance of betas, in squared standard deviations, that is left of a shape which several photos share.
_SHARED = 1e-4


def load(weights: str | Path | None = None, method: str = "nbf", device: str | torch.device = "cpu") -> "Predictor":
    """Networks and body model, ready to predict.

    Args:
        weights: a folder with weights that you trained, which replace the bundled ones; `Networks.load`.
        method: how bodies are found, a name in `nbf.methods.METHODS`.
        device: where the networks run; the body model and all results stay on the CPU.

    Raises:
        ModelFileError: a file is missing or damaged.
        InputError: there is no such method or device.
    """
    networks = Networks.load(weights, device)
    return Predictor(networks, method_of(method, networks))


class Predictor:
    """Finds the people in a picture and fits a body to each. The stages are public, to be timed and used alone."""

    def __init__(self, networks: Networks, method: Method) -> None:
        """`networks` lend the locator, the body model, and the segmenter where the method does not look for parts and
        joints, by which people are told from others; the method has its own."""
        self.networks, self.device, self.method = networks, networks.device, method
        self.locator = for_inference(networks.locator).to(self.device)
        self.body, self.body_name = networks.body.eval().cpu(), networks.body_name
        self._bfloat16 = not networks.exact and self.device.type == "cpu" and multiplies_bfloat16(self.device)

    @torch.no_grad()
    def predict(
        self,
        picture: PictureLike,
        *,
        boxes: Any = None,
        min_score: float = LIKELY,
        max_people: int | None = None,
        focal: float | None = None,
        known: Known = NOTHING,
        keypoints: Any = None,
        parts: Any = None,
    ) -> People:
        """Everybody in a picture.

        Args:
            picture: a path, a numpy array (height, width, 3) of uint8, a PIL image or a torch tensor (3, height, width)
                in [0, 1]; see `nbf.pictures.read_picture`.
            boxes: (n, 4) x0, y0, x1, y1 in pixels of the upright picture, if you know where the people are. Each box
                gets a body; of people who are located, `nbf.suppression` leaves some out.
            min_score: locate only who is a person with at least this probability.
            max_people: keep only so many, the surest first.
            focal: focal length in pixels. Otherwise from EXIF, else the picture's diagonal.
            known: what is known of the people.
            keypoints: (k, 17, 3) COCO keypoints from elsewhere: x, y in pixels and a score; each set goes to the person
                on whom it lies.
            parts: (height, width) labels 0..24 of `nbf.body.parts` to believe instead of the segmenter's.

        Raises:
            InputError: the picture or an argument cannot be used; says why and what to do.
        """
        picture = read_picture(picture)
        camera = picture_camera(picture, focal)
        image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
        min_score, max_people = checked_min_score(min_score), checked_max_people(max_people)
        parts = None if parts is None else checked_parts(parts, picture)
        if boxes is None:
            found, scores, proxy = self._likely(image, camera, min_score)
        else:
            found = checked_boxes(boxes, picture)
            scores, proxy = torch.ones(len(found)), self.see(image, camera, Crop.from_boxes(found, INPUT_SIZE))
        people, most, start = People((), picture, camera), len(found) if max_people is None else max_people, 0
        # In turns, as located people who turn out to be somebody twice make room for others.
        while start < len(found) and len(people) < most:
            turn = slice(start, start + most - len(people))
            start, crops = turn.stop, Crop.from_boxes(found[turn], INPUT_SIZE)
            seen = _told(proxy[turn], found[turn], crops, keypoints, parts)
            fit = self.method.solve(seen, known)
            more = self.people(picture, camera, found[turn], scores[turn], crops, seen, fit)
            people = People(people.persons + more.persons, picture, camera)
            if boxes is None:
                people = kept(people)
        log.info("%s: %d people", picture.name, len(people))
        return people

    def _likely(
        self, image: Tensor, camera: Camera, min_score: float
    ) -> tuple[Float[Tensor, "n 4"], Float[Tensor, " n"], Proxy]:
        """Boxes of located people, how probably they are people, what is seen of them; surest first, nobody twice."""
        found, scores = self.locate(image, min(CANDIDATE, min_score))
        proxy = self.see(image, camera, Crop.from_boxes(found, INPUT_SIZE))
        scores, order = probability(scores, proxy).sort(descending=True, stable=True)
        likely = scores >= min_score
        found, scores, proxy = found[order][likely], scores[likely], proxy[order[likely]]
        once = distinct_seen(in_picture(seen_joints(proxy), Crop.from_boxes(found, INPUT_SIZE)), found)
        log.info("%d candidates, %d of them likely, %d distinct", len(order), len(once), int(once.sum()))
        return found[once], scores[once], proxy[once]

    def predict_many(self, pictures: Iterable[str | Path], **options: Any) -> Iterator[tuple[Path, People | NbfError]]:
        """Each picture file with its people, or with the error that says why there are none; one bad file stops nobody.

        Args:
            pictures: files, folders and globs.
            options: as in `predict`.
        """
        for path in find_photos(pictures):
            try:
                yield path, self.predict(path, **options)
            except NbfError as error:
                yield path, error

    @torch.no_grad()
    def refit(
        self,
        people: People,
        *,
        focal: float | None = None,
        known: Known = NOTHING,
        keypoints: Any = None,
        parts: Any = None,
    ) -> People:
        """Fit the bodies of earlier results anew to what was seen then and to what is known now; as `predict`.

        Results do not keep surface coordinates; methods go without.
        """
        if not people:
            return people
        camera = people.camera if focal is None else picture_camera(people.picture, focal)
        parts = None if parts is None else checked_parts(parts, people.picture)
        centers, sizes = (torch.stack([getattr(p.parts.crop, name) for p in people]) for name in ("center", "size"))
        maps = torch.stack([person.parts.probabilities.float() for person in people])
        joints, boxes = (torch.stack([getattr(person, name) for person in people]) for name in ("keypoints", "box"))
        crops = Crop(centers, sizes, INPUT_SIZE)
        pixels = crops.sample(torch.from_numpy(people.picture.pixels).permute(2, 0, 1))
        proxy = Proxy(
            _camera(camera, crops),
            parts=maps,
            joints=in_crops(joints, crops),
            silhouette=silhouette(maps),
            image=pixels,
        )
        scores = torch.tensor([person.score for person in people])
        seen = _told(proxy, boxes, crops, keypoints, parts)
        fit = self.method.solve(seen, known)
        return self.people(people.picture, camera, boxes, scores, crops, seen, fit)

    @torch.no_grad()
    def share_shape(self, photos: Sequence[People], known: Known = NOTHING) -> list[People]:
        """Results of several photos of one person, the surest of each, refined to have one shape.

        Each photo's betas count as much as they are sure (the product of Gaussians).

        Raises:
            InputError: the method does not say how sure it is.
        """
        singles = [people[:1] for people in photos]
        sure = [person for people in singles for person in people]
        if not sure:
            return singles
        if not all(person.certainty.shape_covariance.isfinite().all() for person in sure):
            raise InputError("photos: expected results of a method that says how sure it is; use the method nbf")
        precisions = torch.stack([torch.linalg.inv(person.certainty.shape_covariance) for person in sure])
        covariance = torch.linalg.inv(precisions.sum(0))
        mean = covariance @ torch.einsum("nij,nj->i", precisions, torch.stack([person.betas for person in sure]))
        shape: Gaussian = mean, _SHARED * torch.eye(len(mean))
        known = replace(known, shape=shape)
        return [self.refit(people, known=known) for people in singles]

    @torch.no_grad()
    def locate(self, image: Tensor, min_score: float = MIN_SCORE) -> tuple[Float[Tensor, "n 4"], Float[Tensor, " n"]]:
        """Boxes (pixels, inside of the picture) and scores of at least `min_score`, surest first, in a picture
        (3, h, w) of uint8 or [0, 1]; `nbf.locate` says how it is looked at."""

        def see(images: Tensor) -> LocatorOutput:
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
                return locate_both_ways(
                    self.locator, images.to(self.device).contiguous(memory_format=torch.channels_last)
                )

        return locate(see, image, min_score)

    @torch.no_grad()
    def see(self, image: Tensor, camera: Camera, crops: Crop) -> Proxy:
        """What the method sees in each of n crops of a picture (3, h, w), uint8 or [0, 1], taken by `camera`; parts and
        joints, by which people are told from others, are there whether the method looks for them or not."""
        some = Crops(crops.sample(image), _camera(camera, crops))
        proxy = self.method.see(some)
        return proxy if proxy.parts is not None and proxy.joints is not None else proxy | self._segmented(some)

    @cached_property
    def _segmented(self) -> Segmented:
        return segmented(self.networks)

    @torch.no_grad()
    def people(
        self,
        picture: Picture,
        camera: Camera,
        boxes: Float[Tensor, "n 4"],
        scores: Float[Tensor, " n"],
        crops: Crop,
        proxy: Proxy,
        fit: Fit,
    ) -> People:
        """The results: the fits of n people in a picture, with meshes and what the picture shows of them."""
        if fit.report is not None:
            for before, after, reason in zip(fit.report.before, fit.report.after, fit.report.reason):
                log.info("%s: residuals %.1f -> %.1f, %s", picture.name, before, after, REASONS[int(reason)])
        assert proxy.parts is not None  # as `see` has them
        bodies = fit.bodies
        translation, posed = bodies.translation(self.body), bodies.posed(self.body)
        joints = in_picture(seen_joints(proxy), crops)
        certainties = self._certainties(picture, crops, proxy, fit)
        persons = tuple(
            Person(
                betas=bodies.betas[i],
                rotations=bodies.rotations[i],
                translation=translation[i],
                camera=camera,
                box=boxes[i],
                score=float(scores[i]),
                parts=PartMap(proxy.parts[i], Crop(crops.center[i], crops.size[i], crops.resolution)),
                keypoints=joints[i],
                body=self.body,
                body_name=self.body_name,
                posed=BodyOutput(posed.vertices[i], posed.joints[i], posed.transforms[i]),
                certainty=certainties[i],
                picture=picture,
            )
            for i in range(len(boxes))
        )
        return People(persons, picture, camera)

    def _certainties(self, picture: Picture, crops: Crop, proxy: Proxy, fit: Fit) -> list[Certainty]:
        assert proxy.parts is not None
        betas = fit.bodies.betas
        joints = betas.new_full((len(betas), 24), torch.nan) if fit.joint_error is None else fit.joint_error
        shapes = fit.shape_covariance
        if shapes is None:
            shapes = betas.new_full((*betas.shape, betas.shape[1]), torch.nan)
        beyond = cells_beyond(crops, proxy.parts.shape[-1], picture.width, picture.height)
        evidence = part_visibility(self.body, fit.bodies, proxy.camera, proxy.parts, beyond)
        shown = evidence.cells, evidence.seen, evidence.cut, evidence.entropy, evidence.guessed()
        return [Certainty(*row) for row in zip(joints, *shown, shapes)]


def _camera(camera: Camera, crops: Crop) -> Camera:
    """Of the crops, in crop sides."""
    return crops.camera(camera).scaled(1 / crops.resolution)


def _told(
    proxy: Proxy, boxes: Float[Tensor, "n 4"], crops: Crop, keypoints: Any, parts: UInt8[np.ndarray, "h w"] | None
) -> Proxy:
    """With what somebody gave beside, or in place of, what was seen of n people."""
    if parts is not None and proxy.parts is not None and len(boxes):
        maps = [
            connected_to(part_shares(parts, Crop(center, size, INPUT_SIZE)), seen[0] < 0.5)
            for center, size, seen in zip(crops.center, crops.size, proxy.parts)
        ]
        told = torch.stack(maps)
        proxy = Proxy(proxy.camera, parts=told, silhouette=silhouette(told), image=proxy.image)
    if keypoints is None:
        return proxy
    marked = torch.zeros(len(boxes), 17, 3)
    keypoints = checked_keypoints(keypoints)
    for index, person in enumerate(match_boxes(keypoints, boxes)):
        if person is not None:
            marked[person] = keypoints[index]
    return replace(proxy, marked=in_crops(marked, crops))
