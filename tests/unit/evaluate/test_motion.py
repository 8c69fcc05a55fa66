"""The track *motion*: films and truths that come back as they were written, and scores of known answers."""

from typing import Any

import pytest
import torch
from moving import RATE, swinging

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.errors import DataError
from nbf.evaluate.motion import MotionBenchmark, save
from nbf.evaluate.motion_score import Followed, crossings, identities, steadiness
from nbf.film.decode import open_film
from nbf.geometry import Camera

FRAMES = 40
CAMERA = Camera(torch.tensor(400.0), torch.tensor([240.0, 180.0]))


def test_films_come_back_as_they_were_written(tmp_path):
    bodies = (swinging(3), swinging(3, seed=1, aside=1))
    pictures = torch.full((3, 3, 48, 64), 90, dtype=torch.uint8)
    save(
        [(CAMERA, RATE, bodies, iter(pictures)), (CAMERA, RATE, bodies[:1], iter(pictures))],
        full(),
        tmp_path / "motion",
    )
    bench = MotionBenchmark.load(tmp_path)
    assert [len(film.bodies) for film in bench.films] == [2, 1]
    for name in ("betas", "rotations", "pelvis"):
        torch.testing.assert_close(getattr(bench.films[0].bodies[1], name), getattr(bodies[1], name), atol=1e-5, rtol=0)
    frames = list(open_film(bench.films[0].path).frames())
    assert len(frames) == 3
    assert abs(int(frames[0].pixels.mean()) - 90) < 4


def full() -> Any:
    return load_body("anny24", "full")


def test_a_track_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match="films of nbf-bench"):
        MotionBenchmark.load(tmp_path)


def joints(bodies: Bodies) -> torch.Tensor:
    return bodies.posed(load_body("anny24", "small")).joints


@pytest.fixture(scope="module")
def passing() -> torch.Tensor:
    """Two people who change sides."""
    one, other = swinging(FRAMES, aside=-1.2, step=0.06), swinging(FRAMES, 1, aside=1.2, depth=5, step=-0.06)
    return torch.stack([joints(one), joints(other)])


def followed(true: torch.Tensor, smooth: torch.Tensor, fitted: torch.Tensor | None = None) -> Followed:
    there = torch.ones(smooth.shape[:2], dtype=torch.bool)
    fitted = smooth if fitted is None else fitted
    return Followed(true, CAMERA.project(true), there, fitted, smooth, CAMERA.project(smooth), RATE)


def test_who_passes_somebody_is_counted_and_keeps_their_track(passing):
    assert [pair[:2] for pair in crossings(CAMERA.project(passing))] == [(1, 0)]
    assert identities([followed(passing, passing)]) == {"crossings": 1, "identity_kept": 100, "followed": 100}


def test_who_swaps_tracks_does_not(passing):
    swapped = passing.clone()
    half = FRAMES // 2
    swapped[:, half:] = passing[[1, 0], half:]
    scores = identities([followed(passing, swapped)])
    assert (scores["identity_kept"], scores["followed"]) == (0, 100)


def test_the_truth_has_no_errors_and_noise_has(passing):
    noise = 0.01 * torch.randn(passing.shape, generator=torch.Generator().manual_seed(0))
    scores = steadiness([followed(passing, passing, passing + noise)])
    for name in ("jitter_m_s2", "acceleration_error_m_s2", "mpjpe_mean_mm"):
        assert scores["smoothed"][name] == scores["truth"][name]
    assert scores["smoothed"]["pa_mpjpe_mean_mm"] < 0.1
    # Second differences of noise have the square root of six times its spread, and a mean of 1.6 spreads in space.
    expected = 0.01 * 6**0.5 * 1.6 * RATE**2
    assert abs(scores["frame_by_frame"]["acceleration_error_m_s2"] / expected - 1) < 0.1
    assert scores["frame_by_frame"]["jitter_m_s2"] > scores["truth"]["jitter_m_s2"]
