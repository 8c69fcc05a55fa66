"""Results that a server keeps for a while, in memory only, under names that nobody guesses."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from nbf.people import People
from nbf.web.problems import Problem


@dataclass(frozen=True)
class Result:
    """People of a photo, and what their answer was."""

    id: str
    people: People
    document: bytes
    """JSON."""

    @property
    def bytes(self) -> int:
        """Roughly, without the picture."""
        tensors = ((p.posed.vertices, p.posed.transforms, p.parts.probabilities) for p in self.people)
        return len(self.document) + sum(tensor.nbytes for row in tensors for tensor in row)


class Results:
    """Forgets what was not used for a while, and the oldest where there is too much."""

    def __init__(self, seconds: float, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.most_bytes, self._clock = seconds, most_bytes, clock
        self._kept: OrderedDict[str, tuple[Result, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """Of all; pictures that several results share count once."""
        results = [result for result, _ in self._kept.values()]
        pictures = {id(result.people.picture): result.people.picture.pixels.nbytes for result in results}
        return sum(pictures.values()) + sum(result.bytes for result in results)

    def keep(self, result: Result) -> None:
        """Keep one, in place of the oldest where there is no room."""
        self._kept[result.id] = result, self._clock()
        self.forget_old()
        while self.bytes > self.most_bytes and len(self._kept) > 1:
            self._kept.popitem(last=False)

    def get(self, id: str) -> Result:
        """One, which is young again. Raises Problem (404) where there is none."""
        self.forget_old()
        if id not in self._kept:
            raise Problem(404, "gone", "no such result, or not any more; send the photo again to /v1/people")
        result, _ = self._kept.pop(id)
        self._kept[id] = result, self._clock()
        return result

    def drop(self, id: str) -> None:
        """Forget one. Raises Problem (404) where there is none."""
        self.get(id)
        del self._kept[id]

    def forget_old(self) -> None:
        """Whatever was not used for too long."""
        limit = self._clock() - self.seconds
        while self._kept and next(iter(self._kept.values()))[1] < limit:
            self._kept.popitem(last=False)


def new_id() -> str:
    """96 random bits, as text that URLs and file names can have."""
    return secrets.token_hex(12)
