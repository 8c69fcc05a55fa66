"""nbf-bench: two tracks of synthetic people, from code, a seed and three caches alone.

*studio*: one level camera in a plain room, one person, fully seen. *wild*: the sampler's defaults, which are free
views, photos, bystanders, things in front and pictures that end inside the person. Both draw poses, garments, skins and
photos from the splits that training never draws from, and shapes from the one population.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from nbf.body.model import BodyModel
from nbf.synth.sampler import Sampler
from nbf.synth.tracks import CONFIGS, Track

VERSION = 1
"""Part of every seed: raise it to draw other people on purpose."""
PEOPLE = 1000
GROUP = 20
"""People are drawn so many at a time, always, each group from a seed of its own: who they are then depends on track,
seed and index alone, never on how many are asked for or in what batches they are measured."""


@dataclass(frozen=True)
class Group:
    """The people of one group: a batch of `nbf.synth.sampler.Sampler`, on the CPU."""

    index: int
    """Of the group; its first person has index `GROUP` times this."""
    batch: dict[str, Tensor]
    state: bytes
    """Of the random generator afterwards: tells exactly how many numbers were drawn, and from which seed."""


@dataclass(frozen=True)
class Benchmark:
    """The people of one track and seed; use `load`."""

    track: Track
    seed: int
    sampler: Sampler

    @classmethod
    def load(cls, track: Track, seed: int, cache: Path) -> "Benchmark":
        """The track over the caches of tools/pack_training.py; what is missing is replaced, with a warning.

        Raises:
            DataError: a cache is there but is not such a file.
        """
        # Always on the CPU: other devices have other random numbers.
        return cls(track, seed, Sampler.load(cache, "test", device="cpu", config=CONFIGS[track]))

    @property
    def body(self) -> BodyModel:
        """The body model whose parameters the people carry."""
        return self.sampler.body

    def group(self, index: int) -> Group:
        """One whole group, whatever was drawn before."""
        generator = self.sampler.generator
        generator.manual_seed(group_seed(self.track, self.seed, index))
        batch = self.sampler.sample(GROUP)
        return Group(index, batch, generator.get_state().numpy().tobytes())

    def groups(self, count: int) -> Iterator[Group]:
        """The first `count` people; the last group may be cut short."""
        for first in range(0, count, GROUP):
            whole = self.group(first // GROUP)
            left = count - first
            yield whole if left >= GROUP else Group(whole.index, cut(whole.batch, left), whole.state)


def cut(batch: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    """The first `count` people of a batch."""
    return {name: value[:count] for name, value in batch.items()}


def group_seed(track: Track, seed: int, index: int) -> int:
    """A 63-bit seed, unrelated between neighbours (of which PyTorch's CPU generator takes the lower 32 bits)."""
    text = f"nbf-bench {VERSION} {track} {seed} {index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
