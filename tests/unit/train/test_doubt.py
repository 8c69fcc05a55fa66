"""The doubt network learns deviations and correlations that are known; trained on made-up packs, it can be loaded."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from packs import random_pack

import nbf.train.doubt
from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.joints import MIRROR_COCO17
from nbf.body.population import GROWN
from nbf.geometry import Camera
from nbf.nets.doubt import Clues, Doubt
from nbf.nets.fitter import Fitter
from nbf.nets.weights import load_kind, save_network
from nbf.solve.doubted import Doubted
from nbf.solve.regress import Regress
from nbf.train.doubt import (
    Cases,
    DoubtConfig,
    Examples,
    correlate,
    learn,
    logs_of,
    measure_shapes,
    photographed,
    robust_covariance,
    train_doubt,
)
from nbf.train.packs import compress, save_pack

SHAPES = 11
CONFIG = DoubtConfig()


def config(folder: Path, steps: int) -> DoubtConfig:
    return replace(CONFIG, loop=replace(CONFIG.loop, steps=steps, runs=folder))


@pytest.fixture(scope="module")
def lesson() -> Examples:
    """People whose first clue is the log of how wrong everything about them is; errors of neighbours correlate."""
    draw = torch.Generator().manual_seed(0)
    doubt = Doubt(SHAPES)
    clues = torch.randn(3000, len(doubt.clue_mean), generator=draw)
    size = len(doubt.error_root) + len(doubt.noise_root)
    shared = torch.randn(3000, 1, generator=draw)
    missed = (0.5 * shared + 0.75**0.5 * torch.randn(3000, size, generator=draw)) * (0.5 * clues[:, :1] - 3).exp()
    return Examples(clues, missed, torch.ones_like(missed))


def test_it_learns_how_wrong_each_person_is(lesson: Examples, tmp_path: Path) -> None:
    torch.manual_seed(0)
    doubt = learn(Doubt(SHAPES), lesson, config(tmp_path, 400))
    with torch.no_grad():
        said = logs_of(doubt.once(lesson.clues)).mean(1)
    true = 0.5 * lesson.clues[:, 0] - 3
    slope, level = torch.cov(torch.stack([said, true]))[0, 1] / true.var(), (said - true).mean()
    assert torch.corrcoef(torch.stack([said, true]))[0, 1] > 0.9
    assert slope == pytest.approx(1, abs=0.15)
    # Student's t takes normal errors for somewhat smaller ones, which the scatter below makes good.
    assert -0.35 < level < 0
    correlate(doubt, [lesson, lesson], replace(CONFIG, shrink=0.0))
    precision = doubt.error_root.mT @ doubt.error_root
    covariance = torch.linalg.inv(precision)
    scale = covariance.diagonal().sqrt()
    correlation = covariance / scale[:, None] / scale
    off = correlation[~torch.eye(len(scale), dtype=torch.bool)]
    assert off.mean() == pytest.approx(0.25, abs=0.05)


def test_the_scatter_of_normal_numbers_is_their_covariance() -> None:
    draw = torch.Generator().manual_seed(1)
    mix = torch.tensor([[1.0, 0, 0], [0.5, 1, 0], [0, -0.3, 0.7]])
    values = torch.randn(20_000, 3, generator=draw) @ mix.T
    found = robust_covariance(values, replace(CONFIG, shrink=0.0, tails=1e6))
    torch.testing.assert_close(found, mix @ mix.T, atol=0.05, rtol=0)
    # A few people who are wrong by a lot change little.
    values[:40] *= 30
    spoilt = robust_covariance(values, replace(CONFIG, shrink=0.0))
    assert (spoilt.diagonal() < 1.5 * (mix @ mix.T).diagonal()).all()


def test_it_learns_what_refined_bodies_say_of_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of children as of adults: what was made of them."""
    body = load_body("anny24", "small")
    rows = torch.randint(len(body.shape_samples), (6000,), generator=torch.Generator().manual_seed(0))
    betas, grown = body.shape_samples[rows], body.shape_info[rows, 0] >= GROWN
    slope, offset, sigma = torch.tensor([0.7, 0.2]), torch.tensor([0.4, -0.1]), torch.tensor([0.6, 0.3])
    noise = torch.randn(betas.shape, generator=torch.Generator().manual_seed(1))
    kind = grown.long()[:, None]
    answers = slope[kind] * betas + offset[kind] + sigma[kind] * noise
    doubted = Doubted(body, Doubt(SHAPES))
    monkeypatch.setattr(nbf.train.doubt, "refined", lambda doubted, cases: (None, cases.start))
    turned, place = torch.eye(3).expand(len(rows), 24, 3, 3), torch.ones(len(rows), 3)
    start, true = Bodies(answers, turned, place), Bodies(betas, turned, place)
    clues = Clues(*(torch.zeros(len(rows), *size) for size in ((24, 5), (17, 2), (24, 2), (3,))))
    points = torch.zeros(len(rows), 41, 2)
    cases = Cases(start, true, Camera(place[:, 0], place[:, :2]), clues, points, with_keypoints=True)
    measure_shapes(doubted, cases, replace(CONFIG, lean=20.0))
    learnt, untouched = doubted.doubt.measurement(True), doubted.doubt.measurement(False)
    eye = torch.eye(SHAPES)
    for kind in (0, 1):
        people = betas[grown == bool(kind)]
        missed = people @ learnt.slope[kind].T + learnt.offset[kind] - slope[kind] * people - offset[kind]
        assert float(missed.square().mean().sqrt()) < 0.1
        torch.testing.assert_close(learnt.root[kind].diagonal(), (1 / sigma[kind]).expand(SHAPES), atol=0, rtol=0.1)
        torch.testing.assert_close(untouched.slope[kind], eye)


def test_photos_tell_of_trusted_keypoints_alone(tmp_path: Path) -> None:
    pack = random_pack(3, 0, true=False)
    pack["keypoints"][:, 0, 2] = 0
    save_pack(
        {name: pack[name] for name in ("seen_parts", "seen_keypoints", "keypoints", "focal", "center")}, tmp_path / "a"
    )
    body = load_body("anny24", "small")
    lesson = photographed(Regress(Fitter(body.shape_count)), Doubted(body, Doubt(SHAPES)), tmp_path)
    errors = 3 * 24 + 3 + SHAPES
    missed, counts = (value[:, errors:].unflatten(1, (-1, 2)) for value in (lesson.missed, lesson.counts))
    assert (lesson.counts[:, :errors] == 0).all()
    assert (counts[:, 17:] == 0).all()
    trusted = pack["keypoints"][..., 2]
    torch.testing.assert_close(counts[:3, :17, 0], trusted)
    torch.testing.assert_close(counts[3:, :17, 1], trusted[:, list(MIRROR_COCO17)])
    off = (pack["seen_keypoints"] - pack["keypoints"])[..., :2] / 256
    torch.testing.assert_close(missed[:3, :17], off)
    torch.testing.assert_close(missed[3:, :17], off[:, list(MIRROR_COCO17)] * torch.tensor([-1.0, 1.0]))


def test_packs_become_a_network(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    count, body = 60, load_body("anny24", "small")
    parts = torch.rand(count, 25, 64, 64, generator=draw)
    rotations = torch.eye(3).repeat(count, 24, 1, 1)
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1, -1]))
    pack = {
        "parts": compress(parts / parts.sum(1, keepdim=True)),
        "seen_parts": compress(parts.flip(0) / parts.flip(0).sum(1, keepdim=True)),
        "seen_keypoints": torch.rand(count, 17, 3, generator=draw) * torch.tensor([256.0, 256, 1]),
        "betas": torch.randn(count, SHAPES, generator=draw),
        "rotations": rotations,
        "translation": torch.tensor([0.0, 0, 4]) + 0.3 * torch.randn(count, 3, generator=draw),
        "focal": torch.full((count,), 400.0),
        "center": torch.full((count, 2), 128.0),
        "keypoints": torch.zeros(count, 17, 3),
    }
    save_pack(pack, tmp_path / "a.npz")
    photos = tmp_path / "photos"
    save_pack(
        {name: pack[name] for name in ("seen_parts", "seen_keypoints", "keypoints", "focal", "center")}, photos / "b"
    )
    fitter = save_network(Fitter(body.shape_count), tmp_path / "fitter", {})
    given = replace(
        config(tmp_path, 3), people=tmp_path, photos=photos, strangers=tmp_path, fitter=str(fitter), cautions=(2.0,)
    )
    trained = train_doubt(given)
    loaded = load_kind(tmp_path / "doubt" / "weights", Doubt)
    assert trained.joint_factor > 0
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=1e-2, rtol=1e-2)
