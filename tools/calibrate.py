"""How far off an optimising method is, over what the curvature of its residuals says of that: its `Calibration`.

    python tools/calibrate.py smplify smplify-dense feedback

Of people whom training may draw, in pictures as those of the track wild, from the caches of tools/pack_training.py.
The factors are those of `nbf.train.doubt`: the mean error of joints over their mean standard deviation, and the same
for heights. Write them beside the method's terms.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from rich.progress import track as progress
from torch import Tensor

from nbf.body.bodies import SHAPE_START, Bodies
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.errors import InputError, NbfError
from nbf.evaluate.bench import GROUP
from nbf.evaluate.protocol import asked
from nbf.methods import method
from nbf.networks import Networks
from nbf.solve.fit import Method
from nbf.solve.optimise import Calibration
from nbf.solve.terms import height_and_slopes
from nbf.solve.uncertainty import joint_sigmas
from nbf.synth.sampler import Sampler
from nbf.synth.tracks import CONFIGS
from nbf.train.doubt import MEAN_SIZE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+", metavar="NAME", help="methods, as nbf evaluate has them")
    parser.add_argument("--people", type=int, default=200, metavar="N", help=f"a multiple of {GROUP}")
    parser.add_argument("--seed", type=int, default=0, help="which people")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), metavar="DIR", help="the caches")
    given = parser.parse_args()
    if given.people < GROUP or given.people % GROUP:
        parser.error(f"--people: expected a multiple of {GROUP}, got {given.people}")
    try:
        networks = replace(Networks.load(), exact=True)
        chosen = {name: method(name, networks) for name in given.methods}
        sampler = Sampler.load(given.cache, "train", given.seed, config=CONFIGS["wild"])
        drawn = range(given.people // GROUP)
        people = [sampler.sample(GROUP) for _ in progress(drawn, "drawing", len(drawn))]
        for name, how in chosen.items():
            found = calibrate(how, networks.body, progress(people, name, len(people)))
            print(f"{name}: Calibration(joints={found.joints:.2f}, shape={found.shape:.2f})")
    except NbfError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@torch.no_grad()
def calibrate(how: Method, body: BodyModel, people: Iterable[dict[str, Tensor]]) -> Calibration:
    """Of batches of a sampler.

    Raises:
        InputError: the method does not say how sure it is.
    """
    joints, rows = Landmarks.keypoints(body, "smpl24"), []
    for batch in people:
        true = Bodies.placed(body, batch["betas"], batch["rotations"], batch["translation"])
        _, fit = how(asked(batch, body)[0])
        if fit.covariance is None:
            raise InputError("method: expected one that says how sure it is, got one without a covariance")
        here, there = (place(joints, bodies, jacobian=False).points for bodies in (fit.bodies, true))
        height, slopes = height_and_slopes(body, fit.bodies.betas)
        spread = torch.einsum("ni,nij,nj->n", slopes, fit.covariance[:, SHAPE_START:, SHAPE_START:], slopes).sqrt()
        rows.append(
            (
                joint_sigmas(joints, fit.bodies, fit.covariance)[:, 1:],
                ((here - here[:, :1]) - (there - there[:, :1])).norm(dim=-1)[:, 1:],
                MEAN_SIZE * spread,
                (height - height_and_slopes(body, true.betas)[0]).abs(),
            )
        )
    said, was, tall, off = (torch.cat(values).mean() for values in zip(*rows))
    return Calibration(float(was / said), float(off / tall))


if __name__ == "__main__":
    sys.exit(main())
