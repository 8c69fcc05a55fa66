"""The whole line, picture -> people, top to bottom in `Predictor.predict`: locate, see, solve, arrange people."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nbf import lines
from nbf.arguments import path as checked_path
from nbf.arguments import shown
from nbf.body.model import BodyOutput
from nbf.certainty import PARTS14, Certainty
from nbf.corrections import Correction, corrected
from nbf.errors import InputError, NbfError
from nbf.finding import find
from nbf.geometry import Camera, Crop
from nbf.given import checked_boxes, checked_keypoints, checked_parts, looking_at, picture_camera
from nbf.known import NOTHING, Facts, Gaussian, Known, checked_known, known_of
from nbf.limits import check_runtime, checked_max_people, checked_min_score
from nbf.locate import framed, locate
from nbf.methods import method as method_of
from nbf.methods import segmented
from nbf.nets.locator import MIN_SCORE, Locator, LocatorOutput, locate_both_ways
from nbf.nets.packed import packed
from nbf.nets.segmenter import INPUT_SIZE
from nbf.networks import Networks
from nbf.people import PartMap, People, Person
from nbf.pictures import Picture, PictureLike, read_picture
from nbf.proxy.keypoint_files import match_boxes
from nbf.proxy.overlapping import competing
from nbf.proxy.part_files import connected_to, part_shares
from nbf.proxy.proxy import Crops, Proxy, in_crops, in_picture, seen_joints, silhouette
from nbf.proxy.segmented import BATCH, CPU_BATCH, Segmented
from nbf.questions import Line, Look, See, Solve
from nbf.several import several
from nbf.solve.fit import Fit, Method
from nbf.solve.levenberg import REASONS
from nbf.solve.shared_shape import SharedShape
from nbf.solve.together import Singles, joined
from nbf.solve.uncertainty import cells_beyond, part_visibility
from nbf.suppression import LIKELY, kept

if TYPE_CHECKING:
    from nbf.film.run import FilmPeople

log = logging.getLogger(__name__)

# Variance of betas, in squared standard deviations, that is left of a shape which several photos share.
_SHARED = 1e-4
_FEET = PARTS14.index("left_foot"), PARTS14.index("right_foot")

# OpenMP's threads do not come along into a forked process, where the first work shared among them would wait for them
# for ever; alone, a process needs none.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def load(
    weights: str | Path | None = None,
    method: str = "nbf",
    device: str | torch.device = "cpu",
    runtime: str = "torch",
) -> "Predictor":
    """Networks and body model, ready to predict.

    Processes forked afterwards (gunicorn's workers, multiprocessing's) predict as well, on one thread each.

    Args:
        weights: a folder with weights that you trained, which replace the bundled ones; `Networks.load`.
        method: how bodies are found, a name in `nbf.methods.METHODS`.
        device: where the networks run; the body model and all results stay on the CPU.
        runtime: what runs locator, segmenter and fitter: torch, or onnx: onnxruntime, on the CPU, which takes the extra
            `onnx`. It runs the ONNX files in the folder `weights` that `nbf export-model` wrote, or makes them once.

    Raises:
        ModelFileError: a file is missing or damaged.
        InputError: there is no such method, device or runtime, or it is not installed.
    """
    check_runtime(runtime)
    folder = None if weights is None else Path(checked_path(weights, "weights"))
    if runtime == "onnx":
        # Its package is an extra.
        from nbf.onnx.runtime import load_networks

        networks = load_networks(folder, device)
    else:
        networks = Networks.load(folder, device)
    return Predictor(networks, method_of(method, networks))


class Predictor:
    """Finds the people in a picture and fits a body to each. The stages are public, to be timed and used alone."""

    def __init__(self, networks: Networks, method: Method) -> None:
        """`networks` lend the locator, the body model, and the segmenter where the method does not look for parts and
        joints, by which people are told from others; the method has its own."""
        self.networks, self.device, self.method = networks, networks.device, method
        locator = networks.run.locator
        self.locator = packed(locator, self.device, exact=networks.exact) if isinstance(locator, Locator) else locator
        self.body, self.body_name = networks.body.eval().cpu(), networks.body_name

    @torch.no_grad()
    def predict(
        self,
        picture: PictureLike,
        *,
        boxes: Any = None,
        min_score: float = LIKELY,
        max_people: int | None = None,
        focal: float | str | None = None,
        center: Any = None,
        known: "Known | Facts | Sequence[Facts]" = NOTHING,
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
            focal: focal length in pixels, or text such as "28mm" (`nbf.given.focal_pixels`), which is of the uncropped
                picture. Otherwise from EXIF, else the picture's diagonal. `People.camera.lens` says which.
            center: x, y in pixels of where the lens looks, for pictures that were cropped or padded: the middle of the
                picture that left the camera. Their focal length is that picture's, in pixels.
            known: what is known of the people: `Known`, `Facts` of everybody, or a list of `Facts`, each with a box of
                whom it is about, or in the order of `boxes`.
            keypoints: (k, 17, 3) COCO keypoints from elsewhere: x, y in pixels and a score 0..1; each set goes to the
                person on whom it lies.
            parts: (height, width) labels 0..24 of `nbf.body.parts` to believe instead of the segmenter's.

        Raises:
            InputError: the picture or an argument cannot be used; says why and what to do.
        """
        line = self._predict(
            picture, boxes=boxes, min_score=min_score, max_people=max_people, focal=focal, center=center,
            known=known, keypoints=keypoints, parts=parts,
        )  # fmt: skip
        return lines.alone(line, self._answer)

    @torch.no_grad()
    def _predict(self, picture: Any, **options: Any) -> Line[People]:
        people, singles = yield from self._alone(picture, **options)
        return self._together(people, singles)

    def alone(self, picture: Any, **options: Any) -> tuple[People, dict[Person, Singles]]:
        """As `predict`, without arranging people together; and of each what is known of them alone, which is of nobody
        where the method does not say how sure it is."""
        return lines.alone(self._alone(picture, **options), self._answer)

    @torch.no_grad()
    def _alone(
        self,
        picture: Any,
        *,
        boxes: Any = None,
        min_score: Any = LIKELY,
        max_people: Any = None,
        focal: Any = None,
        center: Any = None,
        known: Any = NOTHING,
        keypoints: Any = None,
        parts: Any = None,
    ) -> Line[tuple[People, dict[Person, Singles]]]:
        """The line of a picture. Arguments may be anything: it is here that they are checked."""
        picture = read_picture(picture)
        camera = picture_camera(picture, focal, center)
        image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
        min_score, max_people = checked_min_score(min_score), checked_max_people(max_people)
        boxes = None if boxes is None else checked_boxes(boxes, picture)
        known = checked_known(known)
        keypoints = checked_keypoints(keypoints, picture)
        parts = None if parts is None else checked_parts(parts, picture)
        if boxes is None:
            likely = yield from find(image, camera, min_score)
            found, scores, proxy = likely.boxes, likely.scores, likely.seen
        else:
            found = boxes
            scores, proxy = torch.ones(len(found)), (yield See(Crops.of(image, camera, framed(found, picture.height))))
        proxy = competing(proxy, framed(found, picture.height))
        told = known_of(known, found, ordered=boxes is not None)
        people, start = People((), picture, camera), 0
        singles: dict[Person, Singles] = {}
        most = len(found) if max_people is None else min(max_people, len(found))
        # In turns, as located people who turn out to be somebody twice make room for others.
        while start < len(found) and len(people) < most:
            turn = slice(start, start + most - len(people))
            start, crops = turn.stop, framed(found[turn], picture.height)
            seen = _told(proxy[turn], found[turn], crops, keypoints, parts)
            fit = yield Solve(seen, told.of(turn, len(found)))
            more = self.people(picture, camera, found[turn], scores[turn], crops, seen, fit)
            singles |= _singles(more, seen, fit)
            people = People(people.persons + more.persons, picture, camera)
            if boxes is None:
                people = kept(people)
        log.info("%s: %d people", picture.name, len(people))
        return people, singles

    def predict_many(
        self, pictures: PictureLike | Iterable[PictureLike], **options: Any
    ) -> Iterator[tuple[Any, People | NbfError]]:
        """Each picture with its people, or with the error that says why there are none; one bad picture stops nobody.

        What several pictures ask of the networks and the solver at the same time is answered together, in less time
        than one by one, and each as if it were alone; meanwhile threads read the next files. Up to `nbf.lines.PHOTOS`
        + `AHEAD` pictures are taken before the people of the first are given out, no more than `AHEAD` beyond
        `PIXELS`, and no longer kept then. Arrays and images are copied as they are taken.

        Args:
            pictures: files, folders and globs, each file predicted once; arrays, PIL images and tensors; functions
                without arguments that give any of these, called in a thread; any of them mixed. One alone will do, too;
                arrays and tensors with four axes are many.
            options: as in `predict`.

        Yields:
            The `Path` of a file, otherwise the picture (or function) as it was given; and its people. In their order.

        Raises:
            InputError: `pictures` is neither a picture nor several.
        """
        yield from lines.together(several(pictures), lambda picture: self._predict(picture, **options), self._answer)

    @torch.no_grad()
    def _answer(self, question: Look | See | Solve) -> Any:
        """What lines ask; of the networks of one photo or of several."""
        match question:
            case Look(images):
                some = images.split(CPU_BATCH if self.device.type == "cpu" else BATCH)
                seen = [
                    locate_both_ways(self.locator, each.to(self.device, memory_format=torch.channels_last))
                    for each in some
                ]
                return LocatorOutput(*map(torch.cat, zip(*seen)))
            case See(crops):
                proxy = self.method.see(crops)
                return proxy if proxy.parts is not None and proxy.joints is not None else proxy | self._segmented(crops)
            case Solve(proxy, known):
                return self.method.solve(proxy, known)

    def predict_film(self, film: str | Path, **options: Any) -> "FilmPeople":
        """Everybody in a film, as motions: a video file, or a folder with its frames. `nbf.film.run.predict_film` says
        which options there are and what it raises."""
        from nbf.film.run import predict_film

        return predict_film(self, film, **options)

    @torch.no_grad()
    def refit(
        self,
        people: People,
        *,
        focal: float | str | None = None,
        center: Any = None,
        known: "Known | Facts | Sequence[Facts]" = NOTHING,
        keypoints: Any = None,
        parts: Any = None,
        corrections: Sequence[Correction] | None = None,
    ) -> People:
        """Fit the bodies of earlier results anew to what was seen then and to what is known now; as `predict`.

        `corrections`, one for each of the people, mend what was seen; `parts`, if given, go before what they paint.
        Results do not keep surface coordinates; methods go without. The camera stays but for what is given of it.

        Raises:
            InputError: an argument cannot be used; says why and what to do.
        """
        if not isinstance(people, People):
            raise InputError(f"people: expected what predict or load_people gave, got {shown(people)}")
        known, keypoints = checked_known(known), checked_keypoints(keypoints, people.picture)
        if not people:
            return people
        people, pinned = (people, None) if corrections is None else corrected(people, corrections)
        camera = people.camera
        if focal is not None:
            camera = replace(picture_camera(people.picture, focal), center=camera.center)
        if center is not None:
            camera = looking_at(camera, center, people.picture)
        parts = None if parts is None else checked_parts(parts, people.picture)
        centers, sizes = (torch.stack([getattr(p.parts.crop, name) for p in people]) for name in ("center", "size"))
        maps = torch.stack([person.parts.probabilities.float() for person in people])
        joints, boxes = (torch.stack([getattr(person, name) for person in people]) for name in ("keypoints", "box"))
        crops = Crop(centers, sizes, INPUT_SIZE)
        pins = None if pinned is None else in_crops(pinned, crops)
        some = Crops.of(torch.from_numpy(people.picture.pixels).permute(2, 0, 1), camera, crops)
        proxy = Proxy(
            some.camera,
            parts=maps,
            joints=in_crops(joints, crops),
            silhouette=silhouette(maps),
            image=some.image,
        )
        scores = torch.tensor([person.score for person in people])
        seen = replace(_told(proxy, boxes, crops, keypoints, parts), pinned=pins)
        fit = self.method.solve(seen, known_of(known, boxes, ordered=True))
        people = self.people(people.picture, camera, boxes, scores, crops, seen, fit)
        return self._together(people, _singles(people, seen, fit))

    @torch.no_grad()
    def share_shape(self, photos: Sequence[People], known: "Known | Facts | Sequence[Facts]" = NOTHING) -> list[People]:
        """Results of several photos of one person, the surest of each, refined to have one shape.

        Each photo's betas count as much as they are sure (the product of Gaussians).

        Raises:
            InputError: the method does not say how sure it is, or an argument cannot be used.
        """
        if not isinstance(photos, list | tuple) or not all(isinstance(people, People) for people in photos):
            raise InputError(f"photos: expected a list of what predict gave, one of each photo, got {shown(photos)}")
        known = known_of(checked_known(known), torch.zeros(1, 4), ordered=True)
        singles = [people[:1] for people in photos]
        sure = [person for people in singles for person in people]
        if not sure:
            return singles
        if not all(person.certainty.shape_covariance.isfinite().all() for person in sure):
            raise InputError("photos: expected results of a method that says how sure it is; use the method nbf")
        joint = SharedShape.nothing(len(sure[0].betas))
        for person in sure:
            joint = joint.with_fit(person.betas, person.certainty.shape_covariance)
        mean = joint.mean
        shape: Gaussian = mean, _SHARED * torch.eye(len(mean))
        known = replace(known, shape=shape)
        return [self.refit(people, known=known) for people in singles]

    @torch.no_grad()
    def locate(self, image: Tensor, min_score: float = MIN_SCORE) -> tuple[Float[Tensor, "n 4"], Float[Tensor, " n"]]:
        """Boxes (pixels, inside of the picture) and scores of at least `min_score`, surest first, in a picture
        (3, h, w) of uint8 or [0, 1]; `nbf.locate` says how it is looked at."""
        return lines.alone(locate(image, min_score), self._answer)

    @torch.no_grad()
    def see(self, image: Tensor, camera: Camera, crops: Crop) -> Proxy:
        """What the method sees in each of n crops of a picture (3, h, w), uint8 or [0, 1], taken by `camera`; parts and
        joints, by which people are told from others, are there whether the method looks for them or not."""
        return self._answer(See(Crops.of(image, camera, crops)))

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
        certainties = self._certainties(picture, crops, proxy, fit, posed.vertices)
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

    def _together(self, people: People, singles: dict[Person, Singles]) -> People:
        """Several people arranged, where the method does so and says how sure it is of each of them."""
        if self.method.together is None or len(people) < 2 or len(singles) < len(people):
            return people
        arranged = self.method.together(joined([singles[person] for person in people]))
        bodies = arranged.bodies
        translation, posed = bodies.translation(self.body), bodies.posed(self.body)
        persons = tuple(
            replace(
                person,
                betas=bodies.betas[i],
                rotations=bodies.rotations[i],
                translation=translation[i],
                posed=BodyOutput(posed.vertices[i], posed.joints[i], posed.transforms[i]),
                certainty=replace(
                    person.certainty,
                    joint_error=arranged.joint_error[i],
                    shape_covariance=arranged.shape_covariance[i],
                ),
            )
            for i, person in enumerate(people)
        )
        return People(persons, people.picture, people.camera)

    def _certainties(
        self, picture: Picture, crops: Crop, proxy: Proxy, fit: Fit, vertices: Float[Tensor, "n v 3"]
    ) -> list[Certainty]:
        assert proxy.parts is not None
        betas = fit.bodies.betas
        joints = betas.new_full((len(betas), 24), torch.nan) if fit.joint_error is None else fit.joint_error
        shapes = fit.shape_covariance
        if shapes is None:
            shapes = betas.new_full((*betas.shape, betas.shape[1]), torch.nan)
        keypoints = fit.keypoint_covariance
        if keypoints is None:
            keypoints = betas.new_full((len(betas), 17, 2, 2), torch.nan)
        keypoints = keypoints * crops.size[:, None, None, None] ** 2
        beyond = cells_beyond(crops, proxy.parts.shape[-1], picture.width, picture.height)
        scores = seen_joints(proxy)[..., 2]
        evidence = part_visibility(self.body, vertices, proxy.camera, proxy.parts, scores, beyond)
        shown = evidence.cells, evidence.seen, evidence.cut, evidence.entropy, evidence.guessed()
        return [Certainty(*row) for row in zip(joints, *shown, shapes, keypoints)]


def _singles(people: People, proxy: Proxy, fit: Fit) -> dict[Person, Singles]:
    """What is known of each person alone; of nobody where the method does not say how sure it is."""
    if fit.covariance is None or fit.joint_error is None or fit.shape_covariance is None:
        return {}
    assert proxy.parts is not None  # as `see` has them
    feet = torch.stack([person.certainty.seen[list(_FEET)] for person in people]).nan_to_num(0.0)
    rows = [slice(i, i + 1) for i in range(len(people))]
    return {
        person: Singles(
            fit.bodies[i], proxy.camera[i], proxy.parts[i], feet[i], fit.covariance[i], fit.joint_error[i],
            fit.shape_covariance[i],
        )
        for person, i in zip(people, rows)
    }  # fmt: skip


def _told(
    proxy: Proxy,
    boxes: Float[Tensor, "n 4"],
    crops: Crop,
    keypoints: Float[Tensor, "k 17 3"] | None,
    parts: UInt8[np.ndarray, "h w"] | None,
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
    for index, person in enumerate(match_boxes(keypoints, boxes)):
        if person is not None:
            marked[person] = keypoints[index]
    return replace(proxy, marked=in_crops(marked, crops))
