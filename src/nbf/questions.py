"""What finding the people of one photo asks of networks and solvers, as questions that those of other photos can join.

The way of a photo from pixels to people is a line: a generator that yields questions and is sent the answers. So it is
written once, and whoever drives it (`nbf.lines`) may answer the questions of one photo, or those of several together.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.geometry import Camera
from nbf.known import Known
from nbf.nets.locator import LocatorOutput
from nbf.proxy.proxy import Crops, Proxy, kinds, stacked
from nbf.solve.fit import Fit

T = TypeVar("T")


@runtime_checkable
class Question(Protocol):
    """Asked of several rows, each of which is answered as if it were alone."""

    def __len__(self) -> int: ...

    def joins(self, other: "Question") -> bool:
        """Whether both can be asked as one."""
        ...

    def with_others(self, others: Sequence[Any]) -> "Question":
        """This and others that join it as one, whose answer has the rows of all of them in this order."""
        ...

    @staticmethod
    def rows(answer: Any, some: Tensor) -> Any:
        """Some rows of an answer."""
        ...


Line: TypeAlias = Generator[Question, Any, T]


@dataclass(frozen=True)
class Look:
    """Who is in these looks at a picture? The answer is a `LocatorOutput`."""

    images: Float[Tensor, "b 3 h h"]
    """RGB in [0, 1]."""

    def __len__(self) -> int:
        return len(self.images)

    def joins(self, other: Question) -> bool:
        return isinstance(other, Look)

    def with_others(self, others: "Sequence[Look]") -> "Look":
        return Look(torch.cat([self.images, *(each.images for each in others)]))

    @staticmethod
    def rows(answer: LocatorOutput, some: Tensor) -> LocatorOutput:
        return LocatorOutput(*(values[some] for values in answer))


@dataclass(frozen=True)
class See:
    """What do these crops show? The answer is a `Proxy`."""

    crops: Crops

    def __len__(self) -> int:
        return len(self.crops)

    def joins(self, other: Question) -> bool:
        return isinstance(other, See)

    def with_others(self, others: "Sequence[See]") -> "See":
        every = [self.crops, *(each.crops for each in others)]
        return See(Crops(torch.cat([each.image for each in every]), Camera.joined([each.camera for each in every])))

    @staticmethod
    def rows(answer: Proxy, some: Tensor) -> Proxy:
        return answer[some]


@dataclass(frozen=True)
class Solve:
    """Which bodies are these? The answer is a `Fit`. People of whom not the same is known are asked about apart."""

    proxy: Proxy
    known: Known

    def __len__(self) -> int:
        return len(self.proxy)

    def joins(self, other: Question) -> bool:
        return isinstance(other, Solve) and other.known is self.known and kinds(other.proxy) == kinds(self.proxy)

    def with_others(self, others: "Sequence[Solve]") -> "Solve":
        return Solve(stacked(self.proxy, *(each.proxy for each in others)), self.known)

    @staticmethod
    def rows(answer: Fit, some: Tensor) -> Fit:
        return answer[some]
