"""Fit how probable it is that what the locator found is a person: python tools/fit_person_score.py

Candidates are found in training photos of COCO and Stanford 40 and in pictures without people, and looked at by the
segmenter. Whoever lies on a labelled person is right, whoever lies on nobody is wrong; the rest do not count. Prints
the coefficients that `nbf.suppression.PERSON` holds, and how well the probabilities agree with what is right. Needs the
shared folder; anew after every change of locator or segmenter.
"""

import argparse
import sys

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from nbf.data.sets.varied import varied_photos
from nbf.data.shared import shared_dir
from nbf.evaluate.detection import calibration
from nbf.geometry import Camera
from nbf.locate import framed
from nbf.nets.locator import box_iou
from nbf.predictor import load
from nbf.suppression import CANDIDATE, clues

RIGHT, WRONG = 0.5, 0.3
"""Overlap (IoU) with a labelled person from which a candidate is right, and below which with everybody it is wrong."""


@torch.no_grad()
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=300, help="photos with people, and as many without at most")
    given = parser.parse_args()
    shared = shared_dir()
    if shared is None:
        print("no shared folder: set NBF_SHARED to it, or put it beside the repository", file=sys.stderr)
        return 1
    photos = [photo for photo in varied_photos(shared, "train") if not photo.name.startswith("lspet")]
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(0)).tolist()
    shown = [photos[index] for index in order if photos[index].people][: given.n]
    empty = [photos[index] for index in order if not photos[index].people][: given.n]
    predictor = load()
    told, right = [], []
    for photo in (*shown, *empty):
        image = torch.from_numpy(photo.image().copy()).permute(2, 0, 1)
        boxes, scores = predictor.locate(image, CANDIDATE)
        camera = Camera.default(image.shape[2], image.shape[1])
        proxy = predictor.see(image, camera, framed(boxes, image.shape[1])) if len(boxes) else None
        people = torch.tensor([person.box.tolist() for person in photo.people]).view(-1, 4)
        ignored = torch.tensor([person.ignore for person in photo.people], dtype=torch.bool)
        overlap = torch.cat([box_iou(boxes, people), torch.zeros(len(boxes), 1)], 1)
        on = overlap[:, :-1].masked_fill(ignored, 0)
        is_right = torch.cat([on, torch.zeros(len(boxes), 1)], 1).amax(1) >= RIGHT
        known = is_right | (overlap.amax(1) < WRONG)
        if proxy is not None:
            told.append(clues(scores, proxy)[known])
            right.append(is_right[known].float())
    clue, truth = torch.cat(told), torch.cat(right)
    bias, *weights = logistic(clue, truth).tolist()
    said = (bias + clue @ torch.tensor(weights)).sigmoid()
    bins, error = calibration(said, truth > 0)
    print(f"{len(truth)} candidates, {int(truth.sum())} of them right")
    print(f"PERSON = ({bias:.3f}, {', '.join(f'{weight:.3f}' for weight in weights)})")
    for mean, share, count in bins:
        print(f"said {mean:.2f}, right {share:.2f} of {count}")
    print(f"expected calibration error {error:.3f}")
    return 0


@torch.enable_grad()
def logistic(clue: Tensor, truth: Tensor) -> Tensor:
    """Bias and weights of the likeliest logistic regression, slightly pulled to zero."""
    weights = torch.zeros(1 + clue.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=300)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = binary_cross_entropy_with_logits(weights[0] + clue @ weights[1:], truth)
        value = value + 1e-4 * weights[1:].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach()


if __name__ == "__main__":
    sys.exit(main())
