"""Draw the people of nbf-bench, or others by the same rules, from the caches of tools/pack_training.py.

    python tools/draw_benchmark.py                               # those in benchmarks/people
    python tools/draw_benchmark.py --seed 1 --out runs/others    # others: nbf evaluate --people runs/others
    python tools/draw_benchmark.py --track crowd                 # one track alone

Poses, garments and skins are those that training never draws; shapes are new draws from its population. Places and
things in front are drawn as well (tools/scenery.py): no photo of the shared folder is behind anybody.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from rich.progress import track as progress
from scenery import draw_scenes
from torch import Tensor

from nbf.body.files import load_body
from nbf.errors import DataError, NbfError
from nbf.evaluate import crowd
from nbf.evaluate.bench import FOLDER, GROUP, save
from nbf.synth.background import Backgrounds
from nbf.synth.gathering import Gathering, GatheringSampler
from nbf.synth.outfit import Closet
from nbf.synth.poses import PoseLibrary
from nbf.synth.sampler import Sampler
from nbf.synth.tracks import CONFIGS, TRACKS, Track
from nbf.synth.wardrobe import Wardrobe

SPLIT, SCENES, PICTURES = "test", 300, 150


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="folder of the tracks")
    parser.add_argument("--track", choices=(*TRACKS, crowd.NAME), help="draw this one alone")
    parser.add_argument("--people", type=int, default=1000, metavar="N", help=f"in each track, a multiple of {GROUP}")
    parser.add_argument("--pictures", type=int, default=PICTURES, metavar="N", help="of the track crowd")
    parser.add_argument("--seed", type=int, default=0, help="which people")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), metavar="DIR", help="the caches")
    given = parser.parse_args()
    if given.people < GROUP or given.people % GROUP:
        parser.error(f"--people: expected a multiple of {GROUP}, got {given.people}")
    if given.pictures < 1:
        parser.error(f"--pictures: expected 1 or more, got {given.pictures}")
    try:
        sampler = load_sampler(given.cache, given.seed)
    except NbfError as error:
        print(error, file=sys.stderr)
        return 1
    for name in TRACKS:
        if given.track in (None, name):
            save(progress(draw(sampler, name, given.seed, given.people), name, given.people // GROUP), given.out / name)
            print(f"{given.people} people in {given.out / name}")
    if given.track in (None, crowd.NAME):
        pictures = progress(draw_crowd(sampler, given.seed, given.pictures), crowd.NAME, given.pictures)
        crowd.save(pictures, sampler.body, given.out / crowd.NAME)
        print(f"{given.pictures} pictures in {given.out / crowd.NAME}")
    return 0


def load_sampler(cache: Path, seed: int) -> Sampler:
    """What draws people before scenes of that seed. Raises DataError where a cache is missing: what would replace it
    makes another benchmark."""
    poses, wardrobe = cache / "poses.npz", cache / "wardrobe.npz"
    for path in (poses, wardrobe):
        if not path.is_file():
            raise DataError(f"{path}: no such file; make it with tools/pack_training.py")
    closet = Closet.build(load_body("anny24", "full"), Wardrobe.load(wardrobe), SPLIT, "cpu")
    scenes = torch.from_numpy(draw_scenes(SCENES, np.random.default_rng(seed)))
    backgrounds = Backgrounds(scenes.permute(0, 3, 1, 2).contiguous())
    return Sampler(closet, PoseLibrary.load(poses), backgrounds, SPLIT)


def draw(sampler: Sampler, track: Track, seed: int, people: int) -> Iterator[dict[str, Tensor]]:
    """Batches of `GROUP` people, each from a seed of its own: who they are depends on track, seed and index alone."""
    sampler = sampler.like(CONFIGS[track])
    for index in range(people // GROUP):
        sampler.generator.manual_seed(group_seed(track, seed, index))
        yield sampler.sample(GROUP)


def draw_crowd(sampler: Sampler, seed: int, pictures: int) -> Iterator[Gathering]:
    """Pictures of several people, each from a seed of its own."""
    for index in range(pictures):
        sampler.generator.manual_seed(group_seed(crowd.NAME, seed, index))
        yield GatheringSampler(sampler).sample()


def group_seed(track: str, seed: int, index: int) -> int:
    """A 63-bit seed, unrelated between neighbours (of which PyTorch's CPU generator takes the lower 32 bits)."""
    text = f"nbf-bench 1 {track} {seed} {index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


if __name__ == "__main__":
    sys.exit(main())
