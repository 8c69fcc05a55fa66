"""Several photos at once: what their lines ask at the same time is answered together, and photos are read ahead."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from nbf.errors import NbfError
from nbf.pictures import MAX_PIXELS, Picture
from nbf.questions import Line, Question

T = TypeVar("T")
S = TypeVar("S")

PHOTOS = 16
"""On their way at once, at most. Solving for as many people costs each a third of what it costs one alone; of twice as
many, hardly less."""
PIXELS = MAX_PIXELS
"""Of all photos on their way, from which on no other joins them: as many as the largest photo alone may have."""
AHEAD = 2
"""Photos that are read while others are on their way, each in a thread."""
ROWS = 32
"""Looks, crops or people in one question, at most, unless one photo has more."""

Answer = Callable[[Any], Any]
"""Answers any question."""
Read = Callable[[], Picture]


def alone(line: Line[T], answer: Answer) -> T:
    """What a line comes to. Raises what the line or an answer raises."""
    try:
        question = next(line)
        while True:
            question = line.send(answer(question))
    except StopIteration as end:
        return end.value


@dataclass
class _Photo(Generic[S, T]):
    """A photo on its way."""

    source: S
    line: Line[T] | None
    """None once it has come to its end."""
    pixels: int = 0
    question: Question | None = None
    outcome: T | NbfError | None = None

    @classmethod
    def begun(cls, source: S, read: "Future[Picture]", line: Callable[[Picture], Line[T]]) -> "_Photo[S, T]":
        try:
            picture = read.result()
        except NbfError as error:
            return cls(source, None, outcome=error)
        photo = cls(source, line(picture), picture.width * picture.height)
        photo.go_on(None)
        return photo

    def go_on(self, answer: Any) -> None:
        """To the next question, or to the end."""
        assert self.line is not None
        try:
            if isinstance(answer, NbfError):
                raise answer
            self.question = self.line.send(answer)
            return
        except StopIteration as end:
            self.outcome = end.value
        except NbfError as error:
            self.outcome = error
        self.line = self.question = None


def together(
    pictures: Iterator[tuple[S, Read]], line: Callable[[Picture], Line[T]], answer: Answer
) -> Generator[tuple[S, T | NbfError], None, None]:
    """What the line of each picture comes to, in their order, or the error that ended it.

    At most `PHOTOS` + `AHEAD` pictures are taken before what the first of them comes to is given out. What else than
    an NbfError is raised ends all; what `pictures` raises only after those that it gave.
    """
    errors: list[Exception] = []
    taken = _until_error(pictures, errors)
    reading: deque[tuple[S, Future[Picture]]] = deque()
    photos: deque[_Photo[S, T]] = deque()
    pool = ThreadPoolExecutor(AHEAD, "nbf-read")
    try:
        while True:
            while len(photos) < PHOTOS and sum(photo.pixels for photo in photos) < PIXELS:
                while len(reading) <= AHEAD and (following := next(taken, None)) is not None:
                    reading.append((following[0], pool.submit(following[1])))
                if not reading:
                    break
                photos.append(_Photo.begun(*reading.popleft(), line))
            if not photos:
                break
            if photos[0].question is not None:
                _answer(photos, answer)
                continue
            yield _ended(photos.popleft())
    finally:
        pool.shutdown(cancel_futures=True)
    if errors:
        raise errors[0]


def _until_error(pictures: Iterator[T], errors: list[Exception]) -> Iterator[T]:
    try:
        yield from pictures
    except Exception as error:
        errors.append(error)


def _ended(photo: _Photo[S, T]) -> tuple[S, T | NbfError]:
    assert photo.outcome is not None  # as every line ends with one
    return photo.source, photo.outcome


def _answer(photos: Iterable[_Photo[Any, Any]], answer: Answer) -> None:
    """The question of the first photo, and those of others that join it, as far as there is room (`ROWS`)."""
    asking: list[tuple[_Photo[Any, Any], Question]] = []
    count = 0
    for photo in photos:
        question = photo.question
        if question is None or (asking and not asking[0][1].joins(question)):
            continue
        count += len(question)
        if asking and count > ROWS:
            break
        asking.append((photo, question))
    answers = _answers([question for _, question in asking], answer)
    for (photo, _), answered in zip(asking, answers, strict=True):
        photo.go_on(answered)


def _answers(questions: Sequence[Question], answer: Answer) -> list[Any]:
    """The answer to each of some questions that join each other, or the error that there is instead of one."""
    first, *others = questions
    try:
        joint = answer(first.with_others(others) if others else first)
    except NbfError as error:
        # Of several, whose error it is shows when each asks alone.
        return [each for question in questions for each in _answers([question], answer)] if others else [error]
    if not others:
        return [joint]
    rows = torch.arange(sum(map(len, questions))).split([len(question) for question in questions])
    # Rows that are picked are copies: nobody keeps the memory of all.
    return [first.rows(joint, some) for some in rows]
