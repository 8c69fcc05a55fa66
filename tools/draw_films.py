"""Draw the films of the track *motion* of nbf-bench, or others by the same rules.

    python tools/draw_films.py                                # those in benchmarks/people/motion
    python tools/draw_films.py --split train --out runs/films # others: nbf evaluate --data bench:motion --people ...

Needs the shared folder's motion capture, and the wardrobe of tools/pack_training.py.
"""

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from draw_benchmark import SCENES, group_seed
from jaxtyping import Float
from scenery import draw_scenes
from takes import Take, on_foot, read_takes
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.data.shared import shared_dir
from nbf.errors import DataError, NbfError
from nbf.evaluate import motion
from nbf.evaluate.bench import FOLDER
from nbf.geometry.quaternions import matrix, quaternion
from nbf.synth import view
from nbf.synth.background import Backgrounds
from nbf.synth.film import draw_film
from nbf.synth.hall import Outlook
from nbf.synth.outfit import Closet
from nbf.synth.poses import PoseLibrary
from nbf.synth.sampler import Sampler
from nbf.synth.wardrobe import Wardrobe

RATE, FRAMES = 25.0, 60
SIZE = 480, 360
# Of either split, those who dance, jump or walk on the spot, and those who go somewhere: sequence and first frame.
ALONE = {
    "test": (("cmu_05_18", 300), ("setB_jumping_1", 320), ("salsa_21", 170), ("long_zombie", 60)),
    "train": (("salsa_09", 80), ("setA_directing_traffic_1", 40), ("long_walk3", 200), ("cmu_05_17", 80)),
}
GOING = {
    "test": (("long_zombie", 232), ("long_zombie", 433), ("long_zombie", 150), ("salsa_21", 288), ("cmu_05_18", 296)),
    "train": (("long_walk3", 180), ("long_walk3", 260), ("cmu_03_01", 0), ("setA_walking_50", 140)),
}
CROSSINGS = 6
"""Films in which two or three people walk past each other."""
_ADULT = 14.0  # years, at least


@dataclass(frozen=True)
class Cast:
    """Who draws, and whose motions there are."""

    sampler: Sampler
    takes: list[Take]

    def walking(self, name: str, start: int, betas: Float[Tensor, " s"]) -> Bodies:
        """Somebody of that shape moving like that; y up, floor at y = 0."""
        for take in self.takes:
            if take.sequence == name and take.frames[0] <= start < take.frames[-1] - FRAMES:
                return on_foot(self.sampler.small, betas, take.rotations(start, FRAMES, RATE))
        raise DataError(f"{name}: expected a take that holds frame {start}; get the shared folder anew")

    def shapes(self, count: int) -> tuple[Float[Tensor, "p s"], Float[Tensor, "p k"]]:
        """Youths and adults."""
        betas, info = self.sampler.draw_shapes(16 * count)
        grown = (info[:, 0] >= _ADULT).nonzero()[:count, 0]
        return betas[grown], info[grown]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="folder of the tracks")
    parser.add_argument("--split", choices=tuple(ALONE), default="test", help="whose motions")
    parser.add_argument("--seed", type=int, default=0, help="which people")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), metavar="DIR", help="the caches")
    given = parser.parse_args()
    torch.set_num_threads(1)
    try:
        cast = load_cast(given.cache, given.split, given.seed)
    except NbfError as error:
        print(error, file=sys.stderr)
        return 1
    motion.save(draw(cast, given.split, given.seed), cast.sampler.body, given.out / motion.NAME)
    return 0


def load_cast(cache: Path, split: str, seed: int) -> Cast:
    """Raises DataError where something is missing."""
    shared, wardrobe = shared_dir(), cache / "wardrobe.npz"
    if shared is None or not wardrobe.is_file():
        raise DataError(f"expected the shared folder and {wardrobe}; make it with tools/pack_training.py")
    body = load_body("anny24", "full")
    closet = Closet.build(body, Wardrobe.load(wardrobe), "test", "cpu")
    scenes = torch.from_numpy(draw_scenes(SCENES, np.random.default_rng(seed)))
    backgrounds = Backgrounds(scenes.permute(0, 3, 1, 2).contiguous())
    rest = load_body("anny24", "small").joint_template.float()
    names = list(dict.fromkeys(name for name, _ in ALONE[split] + GOING[split]))
    takes = read_takes(shared / "poses" / "mocap_joints.npz", rest, names, FRAMES)
    none = torch.zeros(0)
    library = PoseLibrary(torch.zeros(0, 24, 4), none, none, None, rest)
    return Cast(Sampler(closet, library, backgrounds, "test"), takes)


Drawn = tuple[motion.Camera, float, tuple[Bodies, ...], Iterator[Tensor]]


def draw(cast: Cast, split: str, seed: int) -> Iterator[Drawn]:
    """All films, each from a seed of its own."""
    for index, (name, start) in enumerate(ALONE[split]):
        cast.sampler.generator.manual_seed(group_seed(f"motion {split} alone", seed, index))
        yield alone(cast, name, start)
    for index in range(CROSSINGS):
        cast.sampler.generator.manual_seed(group_seed(f"motion {split} crossing", seed, index))
        picks = [GOING[split][(index + k) % len(GOING[split])] for k in range(3 if index % 3 == 2 else 2)]
        yield crossing(cast, picks)


def alone(cast: Cast, name: str, start: int) -> Drawn:
    """One person, seen from anywhere around."""
    generator = cast.sampler.generator
    betas, info = cast.shapes(1)
    near = float(view.uniform((), 2.8, 4.2, generator))
    heading = float(view.uniform((), -math.pi, math.pi, generator))
    move = turned(cast.walking(name, start, betas[0]), heading)
    middle = (move.pelvis.amin(0) + move.pelvis.amax(0)) / 2
    move = Bodies(move.betas, move.rotations, move.pelvis - middle * torch.tensor([1.0, 0, 1]))
    return filmed(cast, [move], info, near)


def crossing(cast: Cast, picks: list[tuple[str, int]]) -> Drawn:
    """People who go past each other, the one to the left, the other to the right, one behind the other."""
    generator = cast.sampler.generator
    betas, info = cast.shapes(len(picks))
    moves = []
    for k, (name, start) in enumerate(picks):
        move = cast.walking(name, start, betas[k])
        way = move.pelvis[-1] - move.pelvis[0]
        # To the right (x) or to the left, more or less; the middle of the way at x = 0.
        wanted = math.pi * (k % 2) + float(view.normal((), 0.15, generator))
        move = turned(move, float(torch.atan2(way[2], way[0])) - wanted)
        middle = (move.pelvis[-1] + move.pelvis[0]) / 2
        aside = torch.tensor([float(view.normal((), 0.1, generator)) + 0.5 * (k == 2), 0.0, -0.9 * k])
        moves.append(Bodies(move.betas, move.rotations, move.pelvis - middle * torch.tensor([1.0, 0, 1]) + aside))
    return filmed(cast, moves, info, float(view.uniform((), 3.2, 4.2, generator)))


def turned(move: Bodies, heading: float) -> Bodies:
    """About the vertical."""
    turn = matrix(quaternion(torch.tensor([0.0, heading, 0.0])))
    root = turn @ move.rotations[:, :1]
    return Bodies(move.betas, torch.cat([root, move.rotations[:, 1:]], 1), move.pelvis @ turn.T)


def filmed(cast: Cast, moves: list[Bodies], info: Float[Tensor, "p k"], near: float) -> Drawn:
    """People on a floor (y up) before a camera whose nearest person is `near` metres away."""
    generator = cast.sampler.generator
    above = float(view.uniform((), 0.9, 1.9, generator))
    far = near + 0.9 * (len(moves) - 1)
    # A person of 1.75 m takes 58 to 70 percent of the picture's height, where the nearest one stands in the middle.
    focal = near * SIZE[1] * float(view.uniform((), 0.58, 0.7, generator)) / 1.75
    outlook = Outlook.draw(generator, SIZE, focal, above, (near + far) / 2)
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    seen = []
    for move in moves:
        level = move.pelvis @ flip + torch.tensor([0.0, above, near])
        rotations = torch.cat([outlook.cam_from_level @ flip @ move.rotations[:, :1], move.rotations[:, 1:]], 1)
        seen.append(Bodies(move.betas, rotations, level @ outlook.cam_from_level.T))
    frames = draw_film(cast.sampler, outlook, seen, info, far + float(view.uniform((), 1.5, 4.0, generator)))
    return outlook.camera, RATE, tuple(seen), frames


if __name__ == "__main__":
    sys.exit(main())
