"""Motion that is known is found again from noisy fits, whole or in pieces, and better than frame by frame."""

import pytest
import torch
from moving import BODY, RATE, seen, swinging

from nbf.body.bodies import Bodies
from nbf.film.quality import accelerations
from nbf.film.sighting import Sightings
from nbf.film.smooth import Piece, Smoother, smoothed
from nbf.geometry import matrix_from_axis_angle

FRAMES = 20
BETAS = torch.zeros(BODY.shape_count)


def run(fits: list[Sightings | None], piece: int = 96, lag: int = 32) -> Bodies:
    smoother = Smoother(BODY, RATE, piece=piece, lag=lag)
    pieces: list[Piece] = list(smoothed(smoother, fits, lambda _: BETAS))
    return Bodies(*(torch.cat([getattr(each.bodies, name) for each in pieces]) for name in vars(pieces[0].bodies)))


def rows(fits: Sightings) -> list[Sightings | None]:
    return [fits[t : t + 1] for t in range(len(fits))]


def errors(bodies: Bodies, true: Bodies) -> torch.Tensor:
    """Of joints about the pelvis, metres, (t, 24)."""
    joints, right = bodies.posed(BODY).joints, true.posed(BODY).joints
    return ((joints - joints[:, :1]) - (right - right[:, :1])).norm(dim=-1)


@pytest.fixture(scope="module")
def true() -> Bodies:
    return swinging(FRAMES)


@pytest.fixture(scope="module")
def fits(true) -> Sightings:
    return seen(true)


@pytest.fixture(scope="module")
def whole(fits) -> Bodies:
    return run(rows(fits))


def test_motion_is_nearer_to_the_truth_than_fits_are_and_steadier(true, fits, whole):
    assert errors(whole, true).mean() < 0.75 * errors(fits.bodies, true).mean()
    jitter, before = (accelerations(each.posed(BODY).joints, RATE).mean() for each in (whole, fits.bodies))
    assert jitter < before / 3


def test_exact_fits_stay_as_they_are_where_people_are_slow(true):
    slow = Bodies(true.betas, true.rotations[:1].expand(FRAMES, -1, -1, -1), true.pelvis)
    found = run(rows(seen(slow, noise=0)))
    assert errors(found, slow).max() < 1e-3
    assert (found.pelvis - slow.pelvis).abs().max() < 1e-3


def test_one_shape_is_given_to_all_frames(whole):
    assert torch.equal(whole.betas, torch.zeros_like(whole.betas))


def test_pieces_are_the_whole(fits, whole):
    found = run(rows(fits), piece=6, lag=8)
    assert (found.pelvis - whole.pelvis).abs().max() < 0.01
    assert errors(found, whole).mean() < 0.002


def test_a_filter_answers_at_once_and_is_worse_than_who_waits(true, fits, whole):
    smoother = Smoother(BODY, RATE, piece=1, lag=0)
    answers = [smoother.push(fit, BETAS) for fit in rows(fits)[:8]]
    assert all(answer is not None and len(answer.contact) == 1 for answer in answers)
    some = [answer.bodies for answer in answers if answer is not None]
    filtered = Bodies(*(torch.cat([getattr(each, name) for each in some]) for name in vars(some[0])))
    here = errors(filtered, true[:8])[3:].mean()
    assert errors(whole[:8], true[:8])[3:].mean() < here < 1.5 * errors(fits.bodies[:8], true[:8])[3:].mean()


@pytest.mark.parametrize(("piece", "lag"), [(96, 32), (1, 0)])
def test_frames_in_which_nobody_was_found_are_filled(true, fits, whole, piece, lag):
    holes: list[Sightings | None] = rows(fits)[:12]
    holes[5:9] = [None] * 4
    found = run(holes, piece, lag)
    # A filter has nothing but where somebody was going.
    assert errors(found, true[:12])[5:9].mean() < 2 * errors(whole, true)[5:9].mean() + (0.02 if lag else 0.2)


def test_a_frame_that_flips_is_not_believed(true, fits, whole):
    turned = fits.bodies.rotations.clone()
    turned[9, 0] = turned[9, 0] @ matrix_from_axis_angle(torch.tensor([0.0, 3.0, 0.0]))
    flipped = Sightings(
        fits.boxes, fits.scores, fits.keypoints, fits.colors,
        Bodies(fits.bodies.betas, turned, fits.bodies.pelvis), fits.root,
    )  # fmt: skip
    assert errors(flipped.bodies, true)[9].mean() > 0.15
    assert errors(run(rows(flipped)), true)[9].mean() < errors(whole, true)[9].mean() + 0.03
