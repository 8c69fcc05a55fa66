"""People before a camera as they move: an answer for each frame, at once or a fixed number of frames later."""

from dataclasses import dataclass
from typing import Any

from nbf.body.bodies import SHAPE_START, Bodies
from nbf.errors import InputError
from nbf.film.sighting import Sightings, look
from nbf.film.smooth import Smoother
from nbf.film.track import Tracker
from nbf.pictures import PictureLike, read_picture
from nbf.predictor import Predictor
from nbf.solve.shared_shape import SharedShape


@dataclass(frozen=True)
class LiveBody:
    """Somebody in a frame."""

    number: int
    """Who it is: the same as long as they are followed."""
    frame: int
    """The frame that this is about, `lag` before the last one."""
    body: Bodies
    """One body, in the shape that all frames so far make likely."""


@dataclass
class _Somebody:
    smoother: Smoother
    shape: SharedShape


class Live:
    """Takes frames as they come. Memory does not grow with time."""

    def __init__(self, predictor: Predictor, rate: float, *, lag: int = 0, **options: Any) -> None:
        """
        Args:
            predictor: of a method that says how sure it is of bodies.
            rate: frames a second, as many as `follow` will be given.
            lag: how many frames later an answer may come, which makes it better.
            options: as `Predictor.predict` takes them.

        Raises:
            InputError: the lag or the rate makes no sense.
        """
        if lag < 0 or not rate > 0:
            raise InputError(f"expected a rate above 0 and a lag of 0 or more frames, got {rate} and {lag}")
        self.predictor, self.rate, self.lag, self.options = predictor, rate, lag, options
        self._tracker = Tracker(predictor.body, rate)
        self._people: dict[int, _Somebody] = {}
        self._frame = -1

    def follow(self, picture: PictureLike) -> list[LiveBody]:
        """Everybody in the frame `lag` before this one, as soon as they were found often enough to be somebody.

        Raises:
            InputError: the picture cannot be read.
        """
        _, seen = look(self.predictor, read_picture(picture), **self.options)
        return self.take(seen)

    def take(self, seen: Sightings) -> list[LiveBody]:
        """The same of what was seen in the next frame."""
        self._frame += 1
        rows = {number: row for row, number in enumerate(self._tracker.follow(seen))}
        for number in rows.keys() - self._people.keys():
            smoother = Smoother(self.predictor.body, self.rate, piece=1, lag=self.lag)
            self._people[number] = _Somebody(smoother, SharedShape.nothing(seen.bodies.betas.shape[1]))
        self._people = {number: self._people[number] for number in self._tracker.followed()}
        answers = []
        for number, somebody in self._people.items():
            here = seen[rows[number] : rows[number] + 1] if number in rows else None
            if here is not None:
                covariance = here.covariance()[0, SHAPE_START:, SHAPE_START:]
                somebody.shape = somebody.shape.with_fit(here.bodies.betas[0], covariance)
            piece = somebody.smoother.push(here, somebody.shape.mean)
            if piece is not None and number in self._tracker.sure:
                answers.append(LiveBody(number, self._frame - self.lag, piece.bodies))
        return answers
