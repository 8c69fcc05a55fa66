"""The whole line: picture -> people. `Predictor.predict` reads top to bottom like the diagram in docs/design."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.checks import (
    checked_boxes,
    checked_device,
    checked_keypoints,
    checked_max_people,
    checked_min_score,
    picture_camera,
)
from nbf.errors import InputError, ModelFileError, NbfError
from nbf.facts import Facts, age_prior
from nbf.geometry import Camera, Crop
from nbf.locate import locate
from nbf.nets.blocks import for_inference, multiplies_bfloat16
from nbf.nets.doubt import Doubt
from nbf.nets.fitter import Fitter, Proxy
from nbf.nets.locator import MIN_SCORE, Locator, LocatorOutput, locate_both_ways
from nbf.nets.look import look
from nbf.nets.mirror import Reading, in_crop, read_both_ways
from nbf.nets.segmenter import INPUT_SIZE, Segmenter
from nbf.nets.weights import load_network
from nbf.people import People
from nbf.pictures import Picture, PictureLike, find_photos, read_picture
from nbf.proxy.keypoint_files import match_boxes
from nbf.proxy.part_files import connected_to, part_probabilities
from nbf.settling import Observation, keypoints_seen, settle
from nbf.solve.optimise import Given, Refiner
from nbf.suppression import CANDIDATE, LIKELY, distinct_seen, kept, probability

log = logging.getLogger(__name__)

BODY = "anny24"
"""The body model that the bundled fitter was trained for."""

_BATCH = 16
"""People put through the networks at once; bounds memory on pictures of crowds."""
Shape = tuple[Float[Tensor, " s"], Float[Tensor, "s s"]]
# Variance of betas, in squared standard deviations, that is left of a shape which several photos share.
_SHARED = 1e-4


def load(device: str | torch.device = "cpu") -> "Predictor":
    """The bundled networks and body model, ready to predict.

    Args:
        device: where the networks run; the body model and all results stay on the CPU.

    Raises:
        ModelFileError: a bundled file is missing or damaged.
        InputError: there is no such device.
    """
    return Predictor(
        _network("locator", Locator),
        _network("segmenter", Segmenter),
        _network("fitter", Fitter),
        _network("doubt", Doubt),
        load_body(BODY),
        BODY,
        device=device,
    )


class Predictor:
    """Finds the people in a picture and fits a body to each. The stages are public, to be timed and used alone."""

    def __init__(
        self,
        locator: Locator,
        segmenter: Segmenter,
        fitter: Fitter,
        doubt: Doubt,
        body: BodyModel,
        body_name: str,
        *,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = checked_device(device)
        self.locator = for_inference(locator).to(self.device)
        self.segmenter = for_inference(segmenter).to(self.device)
        self.fitter = for_inference(fitter).to(self.device)
        self.body, self.body_name = body.eval().cpu(), body_name
        self.refiner = Refiner(self.body, doubt)
        # Half the time on CPUs that multiply bfloat16. The fitter stays exact: its rotations show errors, maps do not.
        self._bfloat16 = self.device.type == "cpu" and multiplies_bfloat16(self.device)

    @torch.no_grad()
    def predict(
        self,
        picture: PictureLike,
        *,
        boxes: Any = None,
        min_score: float = LIKELY,
        max_people: int | None = None,
        focal: float | None = None,
        refine: bool = True,
        facts: Facts | None = None,
        keypoints: Any = None,
        parts: UInt8[np.ndarray, "h w"] | None = None,
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
            refine: make the bodies agree with the joints seen in 2D and with what is known; docs/refinement.md.
            facts: what is known of the people.
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
        if not refine and (facts is not None or keypoints is not None):
            raise InputError("refine: expected True where facts or keypoints are given; only refinement can use them")
        if boxes is None:
            found, scores, proxy = self._likely(image, min_score)
        else:
            found = checked_boxes(boxes, picture)
            scores, proxy = torch.ones(len(found)), self.segment(image, Crop.from_boxes(found, INPUT_SIZE))
        people, most, start = People((), picture, camera), len(found) if max_people is None else max_people, 0
        # In turns, as located people who turn out to be somebody twice make room for others.
        while start < len(found) and len(people) < most:
            turn = slice(start, start + most - len(people))
            start, crops = turn.stop, Crop.from_boxes(found[turn], INPUT_SIZE)
            seen = self._observation(
                picture, camera, found[turn], scores[turn], crops, proxy.at(turn), facts, keypoints, parts
            )
            people = People(people.persons + self.settle(seen, refine=refine).persons, picture, camera)
            if boxes is None:
                people = kept(people)
        log.info("%s: %d people", picture.name, len(people))
        return people

    def _likely(self, image: Tensor, min_score: float) -> tuple[Float[Tensor, "n 4"], Float[Tensor, " n"], Proxy]:
        """Boxes of located people, how probably they are people, what is seen of them; surest first, nobody twice."""
        found, scores = self.locate(image, min(CANDIDATE, min_score))
        proxy = self.segment(image, Crop.from_boxes(found, INPUT_SIZE))
        scores, order = probability(scores, proxy).sort(descending=True, stable=True)
        likely = scores >= min_score
        found, scores, proxy = found[order][likely], scores[likely], proxy.at(order[likely])
        once = distinct_seen(keypoints_seen(proxy, Crop.from_boxes(found, INPUT_SIZE)), found)
        log.info("%d candidates, %d of them likely, %d distinct", len(order), len(once), int(once.sum()))
        return found[once], scores[once], proxy.at(once)

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
        facts: Facts | None = None,
        keypoints: Any = None,
        parts: UInt8[np.ndarray, "h w"] | None = None,
    ) -> People:
        """Fit the bodies of earlier results anew to what was seen then and to what is known now; as `predict`."""
        return self._refit(people, focal, facts, keypoints, parts, None) if people else people

    @torch.no_grad()
    def share_shape(self, photos: Sequence[People], facts: Facts | None = None) -> list[People]:
        """Results of several photos of one person, the surest of each, refined to have one shape.

        Each photo's betas count as much as they are sure (the product of Gaussians).
        """
        singles = [people[:1] for people in photos]
        sure = [person for people in singles for person in people]
        if not sure:
            return singles
        precisions = torch.stack([torch.linalg.inv(person.certainty.shape_covariance) for person in sure])
        covariance = torch.linalg.inv(precisions.sum(0))
        mean = covariance @ torch.einsum("nij,nj->i", precisions, torch.stack([person.betas for person in sure]))
        shape = mean, _SHARED * torch.eye(len(mean))
        return [self._refit(people, None, facts, None, None, shape) if people else people for people in singles]

    def _refit(
        self,
        people: People,
        focal: float | None,
        facts: Facts | None,
        keypoints: Any,
        parts: UInt8[np.ndarray, "h w"] | None,
        shape: Shape | None,
    ) -> People:
        camera = people.camera if focal is None else picture_camera(people.picture, focal)
        centers, sizes, maps, seen, boxes = (
            torch.stack(values)
            for values in zip(
                *(
                    (p.parts.crop.center, p.parts.crop.size, p.parts.probabilities.float(), p.keypoints, p.box)
                    for p in people
                )
            )
        )
        crops = Crop(centers, sizes, INPUT_SIZE)
        proxy = Proxy(maps, in_crop(torch.cat([crops.to_crop(seen[..., :2]), seen[..., 2:]], dim=-1)))
        scores = torch.tensor([person.score for person in people])
        found = self._observation(people.picture, camera, boxes, scores, crops, proxy, facts, keypoints, parts)
        if shape is not None:
            found = replace(found, given=replace(found.given, shape=shape))
        return self.settle(found)

    def _observation(
        self,
        picture: Picture,
        camera: Camera,
        boxes: Tensor,
        scores: Tensor,
        crops: Crop,
        proxy: Proxy,
        facts: Facts | None,
        keypoints: Any,
        parts: UInt8[np.ndarray, "h w"] | None,
    ) -> Observation:
        """With what somebody gave in place of what the segmenter saw."""
        given, facts = Given.nothing(len(boxes)), Facts() if facts is None else facts
        if facts.height is not None:
            given = replace(given, heights=torch.full((len(boxes),), float(facts.height)))
        if facts.age_group is not None:
            given = replace(given, shape=age_prior(self.body, facts.age_group))
        if keypoints is not None:
            given = replace(given, keypoints=_matched(checked_keypoints(keypoints), boxes, crops))
        if parts is not None and len(boxes):
            maps = [
                connected_to(part_probabilities(parts, Crop(center, size, INPUT_SIZE)), seen[0] < 0.5)
                for center, size, seen in zip(crops.center, crops.size, proxy.parts)
            ]
            proxy = Proxy.of_parts(torch.stack(maps))
        return Observation(picture, camera, boxes, scores, crops, proxy, self.read(proxy), given)

    @torch.no_grad()
    def locate(self, image: Tensor, min_score: float = MIN_SCORE) -> tuple[Float[Tensor, "n 4"], Float[Tensor, " n"]]:
        """Boxes (pixels, inside of the picture) and scores of at least `min_score`, surest first, in a picture
        (3, h, w) of uint8 or [0, 1]; `nbf.locate` says how it is looked at."""

        def see(images: Tensor) -> LocatorOutput:
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
                return locate_both_ways(self.locator, self._to_network(images))

        return locate(see, image, min_score)

    @torch.no_grad()
    def segment(self, image: Tensor, crops: Crop) -> Proxy:
        """Part probabilities and keypoints in each of n crops of a picture (3, h, w), uint8 or [0, 1]."""
        proxies = []
        for center, size in zip(crops.center.split(_BATCH), crops.size.split(_BATCH)):
            images = self._to_network(Crop(center, size, crops.resolution).sample(image))
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
                proxies.append(look(self.segmenter, images))
        return Proxy(*(torch.cat(values).float().cpu() for values in zip(*proxies)))

    @torch.no_grad()
    def read(self, proxy: Proxy) -> Reading:
        """The fitter's answers for n people, and how sure it is of them."""
        proxy = Proxy(self._to_network(proxy.parts), proxy.keypoints.to(self.device))
        return read_both_ways(self.fitter, proxy).cpu()

    @torch.no_grad()
    def settle(self, seen: Observation, *, refine: bool = True) -> People:
        """Bodies for what was seen."""
        return settle(seen, self.refiner, self.body_name, refine=refine)

    def _to_network(self, images: Tensor) -> Tensor:
        return images.to(self.device).contiguous(memory_format=torch.channels_last)


def _matched(keypoints: Float[Tensor, "k 17 3"], boxes: Float[Tensor, "n 4"], crops: Crop) -> Float[Tensor, "n 17 3"]:
    """Each person's own keypoints in crop sides; zeros for those who have none."""
    own = torch.zeros(len(boxes), 17, 3)
    for index, person in enumerate(match_boxes(keypoints, boxes)):
        if person is not None:
            own[person] = keypoints[index]
    return torch.cat([crops.to_crop(own[..., :2]) / crops.resolution, own[..., 2:]], dim=-1)


N = TypeVar("N", Locator, Segmenter, Fitter, Doubt)


def _network(name: str, kind: type[N]) -> N:
    network = load_network(name)
    if not isinstance(network, kind):
        raise ModelFileError(
            f"{name}: expected a {kind.__name__} in this file, got a {type(network).__name__}; reinstall nbf"
        )
    return network
