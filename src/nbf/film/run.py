"""From a film to everybody's motion: look at each frame, follow people, smooth what they do.

The first part takes nearly all of the time and leaves what it has seen on disk (`nbf.film.log`); the others read it
from there as often as they need, a frame at a time.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.body.bodies import SHAPE_START
from nbf.body.landmarks import Landmarks, place
from nbf.errors import InputError
from nbf.film.decode import Film, open_film
from nbf.film.log import SightingLog
from nbf.film.quality import Quality
from nbf.film.sighting import Sightings, look
from nbf.film.smooth import LAG, PIECE, Smoother, smoothed
from nbf.film.track import Span, Tracker, of_span, spans
from nbf.geometry import Camera
from nbf.given import picture_camera
from nbf.known import Facts, Known
from nbf.limits import checked_max_people, checked_min_score
from nbf.motion import Motion
from nbf.predictor import Predictor
from nbf.solve.shared_shape import SharedShape
from nbf.solve.steady import FEET
from nbf.suppression import LIKELY

Progress = Callable[[str, int, int | None], None]
"""Told what is being done, how much of it is done, and how much there is, where that is known."""


@dataclass(frozen=True, eq=False)
class Track:
    """Somebody in a film.

    Attributes:
        motion: from their first to their last frame; what the film does not show of it is what smooth motion has.
        rows: which of the people of each frame they are, -1 where they were not found.
        contact: which of `nbf.solve.steady.FEET` are on the ground.
        frame_by_frame: how steady the fits of single frames are (`Quality.report`).
        smoothed: how steady the motion is.
    """

    motion: Motion
    rows: Int64[Tensor, " t"]
    contact: Bool[Tensor, "t 4"]
    frame_by_frame: dict[str, float | None]
    smoothed: dict[str, float | None]

    @property
    def found(self) -> Bool[Tensor, " t"]:
        """Frames in which they were found."""
        return self.rows >= 0


@dataclass(frozen=True, eq=False)
class FilmPeople:
    """Everybody in a film, in the order in which they come."""

    film: Film
    frames: int
    """How many were looked at."""
    camera: Camera
    """Pixels; one for the whole film."""
    tracks: tuple[Track, ...]

    def record(self) -> dict[str, Any]:
        """What a JSON file says of it."""
        return {
            "film": self.film.path.name,
            "frames": self.frames,
            "frame_rate": self.film.rate,
            "camera": {
                "focal": float(self.camera.focal),
                "center": self.camera.center.tolist(),
                "lens": self.camera.lens,
            },
            "people": [
                {
                    "name": track.motion.name,
                    "first_frame": track.motion.start,
                    "frames": len(track.motion),
                    "found": int(track.found.sum()),
                    "on_the_ground": float(track.contact.any(1).float().mean()),
                    "frame_by_frame": track.frame_by_frame,
                    "smoothed": track.smoothed,
                }
                for track in self.tracks
            ],
        }


@torch.no_grad()
def predict_film(
    predictor: Predictor,
    source: str | Path,
    *,
    rate: float | None = None,
    min_score: float = LIKELY,
    max_people: int | None = None,
    focal: float | str | None = None,
    center: Any = None,
    known: Known | Facts | None = None,
    lag: int | None = None,
    work: Path | None = None,
    progress: Progress = lambda what, done, total: None,
) -> FilmPeople:
    """Everybody in a film, as motions.

    Args:
        predictor: of a method that says how sure it is of bodies.
        source: a video file, or a folder with its frames in the order of their names.
        rate: frames a second, believed instead of what the file says.
        min_score, max_people, focal, center, known: as `Predictor.predict` takes them, for each frame; facts are of
            everybody.
        lag: frames after one that its body may depend on, as where answers cannot wait: 0 for a filter. Without it the
            whole film is known.
        work: a folder to keep what was seen in, from which another call with the same arguments goes on.
        progress: called now and then.

    Raises:
        InputError: the film or an argument cannot be used.
        DataError: what is in `work` is damaged.
    """
    film = open_film(source, rate)
    min_score, max_people = checked_min_score(min_score), checked_max_people(max_people)
    if lag is not None and lag < 0:
        raise InputError(f"lag: expected 0 or more frames, got {lag}")
    options: dict[str, Any] = {"min_score": min_score, "max_people": max_people, "focal": focal, "center": center}
    if known is not None:
        options["known"] = known
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory())) if work is None else work
        folder.mkdir(parents=True, exist_ok=True)
        log = SightingLog(folder, predictor.body.shape_count)
        camera = _look(predictor, film, log, options, progress)
        people = spans(Tracker(predictor.body, film.rate), log.read())
        tracks = []
        for index, span in enumerate(people):
            progress("smoothing", index, len(people))
            tracks.append(_track(predictor, film, span, log, lag, index, folder if work else None))
    return FilmPeople(film, log.frames, camera, tuple(tracks))


def _look(predictor: Predictor, film: Film, log: SightingLog, options: dict[str, Any], say: Progress) -> Camera:
    """Put everybody in frames that are not on disk there; the film's camera."""
    # The first frame has the camera, also where all are there.
    first = next(film.frames(), None)
    if first is None:
        raise InputError(f"{film.path}: expected a film, got one without frames")
    camera = picture_camera(first, options["focal"], options["center"])
    for picture in film.frames(log.frames):
        say("looking", log.frames, film.count)
        _, seen = look(predictor, picture, **options)
        log.add(seen)
    log.flush()
    return camera


def _track(
    predictor: Predictor, film: Film, span: Span, log: SightingLog, lag: int | None, index: int, folder: Path | None
) -> Track:
    body = predictor.body
    shape = SharedShape.nothing(body.shape_count)

    def more(seen: Sightings | None) -> Float[Tensor, " s"]:
        nonlocal shape
        if seen is not None:
            shape = shape.with_fit(seen.bodies.betas[0], seen.covariance()[0, SHAPE_START:, SHAPE_START:])
        return shape.mean

    count = len(span.rows)
    if lag is None:
        for seen in of_span(span, log.read(span.start)):
            betas = more(seen)
        smoother = Smoother(body, film.rate, piece=PIECE, lag=LAG)
        pieces = smoothed(smoother, of_span(span, log.read(span.start)), lambda _: betas)
    else:
        smoother = Smoother(body, film.rate, piece=1, lag=lag)
        pieces = smoothed(smoother, of_span(span, log.read(span.start)), more)
    rotations, pelvis = (_array(folder, f"{index}-{what}", (count, *size)) for what, size in _ARRAYS.items())
    contact = torch.zeros(count, len(FEET), dtype=torch.bool)
    joints, fits = Landmarks.keypoints(body, "smpl24"), of_span(span, log.read(span.start))
    before, after = Quality(film.rate), Quality(film.rate)
    start = 0
    for piece in pieces:
        here = slice(start, start + len(piece.contact))
        rotations[here], pelvis[here] = piece.bodies.rotations.numpy(), piece.bodies.pelvis.numpy()
        contact[here] = piece.contact
        after.add(place(joints, piece.bodies, jacobian=False).points, piece.contact)
        for on, fit in zip(piece.contact, islice(fits, len(piece.contact))):
            if fit is None:
                before.interrupt()
            else:
                before.add(place(joints, fit.bodies, jacobian=False).points, on[None])
        start = here.stop
    betas = shape.mean
    translation = torch.from_numpy(pelvis - body.rest_joints(betas[None])[:, 0].numpy())
    motion = Motion(
        f"person_{index}",
        betas,
        torch.from_numpy(rotations),
        translation,
        film.rate,
        body,
        predictor.body_name,
        span.start,
    )
    return Track(motion, torch.tensor(span.rows), contact, before.report(), after.report())


_ARRAYS = {"rotations": (24, 3, 3), "pelvis": (3,)}


def _array(folder: Path | None, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """In a file of the folder, so that memory does not grow with the film."""
    if folder is None:
        return np.zeros(shape, np.float32)
    return np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape)
