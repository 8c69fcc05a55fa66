"""The bundled networks on the bundled picture: what users see first must not change unnoticed.

`python tests/golden/test_demo.py` writes demo.json anew: after new weights or a new picture, look at the result first.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nbf
from nbf.methods import method
from nbf.networks import Networks
from nbf.predictor import Predictor

PICTURE = Path(__file__).parents[2] / "examples" / "demo.jpg"
NAMES = "nbf", "nbf-plain"
"""Methods whose searches start from a network's answer: others choose between starts, which roundings may decide."""
GOLDEN = Path(__file__).with_suffix("").with_name("demo.json")
# Everything in float32, where processors agree but for the order of their sums. Refinement moves joints by centimetres.
CLOSE = {"boxes": 0.5, "joints_2d": 0.5, "joints_3d": 0.003, "betas": 0.02, "joint_error": 0.003, "shape_sigma": 0.02}
"""Largest difference: pixels, metres, standard deviations of shape."""


def predictor(name: str) -> Predictor:
    networks = replace(Networks.load(), exact=True)
    return Predictor(networks, method(name, networks))


def measure(name: str) -> dict:
    """Everybody, from left to right."""
    people = sorted(predictor(name).predict(PICTURE), key=lambda person: float(person.box[0]))
    return {
        "boxes": [person.box.tolist() for person in people],
        "joints_2d": [person.joints_2d("lsp14").tolist() for person in people],
        "joints_3d": [person.joints_3d().tolist() for person in people],
        "betas": [person.betas.tolist() for person in people],
        "joint_error": [person.certainty.joint_error.tolist() for person in people],
        "shape_sigma": [person.certainty.shape_covariance.diagonal().sqrt().tolist() for person in people],
    }


@pytest.mark.parametrize("name", NAMES)
def test_demo_picture(name: str) -> None:
    expected, found = json.loads(GOLDEN.read_text())[name], measure(name)
    assert len(found["boxes"]) == len(expected["boxes"]) == 2
    for what, close in CLOSE.items():
        difference = torch.tensor(found[what]) - torch.tensor(expected[what])
        assert difference.abs().max() < close, what


def test_methods_and_people_differ() -> None:
    """Nobody's shape is the average, and refinement changes more than what counts as close."""
    refined, plain = (json.loads(GOLDEN.read_text())[name] for name in ("nbf", "nbf-plain"))
    for what in ("joints_2d", "joints_3d", "betas"):
        one, other = torch.tensor(refined[what]), torch.tensor(plain[what])
        assert (one - other).abs().max() > 2 * CLOSE[what], what
        assert (one[0] - one[1]).abs().max() > 2 * CLOSE[what], what
    assert torch.tensor(refined["betas"]).abs().amax(1).min() > 10 * CLOSE["betas"]


def test_default_is_near_the_exact_one() -> None:
    """Processors that multiply bfloat16 see a little less exactly."""
    expected = json.loads(GOLDEN.read_text())["nbf"]
    people = sorted(nbf.load().predict(PICTURE), key=lambda person: float(person.box[0]))
    pixels = torch.stack([person.joints_2d("lsp14") for person in people]) - torch.tensor(expected["joints_2d"])
    assert pixels.norm(dim=-1).mean() < 5


def test_nobody_changes_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """People of one picture come out as they would alone, refinement included, but for the pixels that they compete for
    and until they are arranged."""
    monkeypatch.setattr("nbf.predictor.competing", lambda proxy, _: proxy)
    exact = predictor("nbf")
    exact.method = replace(exact.method, together=None)
    together = exact.predict(PICTURE)
    for person in together:
        (alone,) = exact.predict(PICTURE, boxes=[person.box.tolist()])
        torch.testing.assert_close(alone.vertices, person.vertices, atol=1e-4, rtol=1e-4)


def test_who_is_lower_in_the_picture_is_nearer() -> None:
    """The picture was drawn with the woman at 3.3 m and the man at 3.7 m, on one floor."""
    woman, man = sorted(predictor("nbf").predict(PICTURE), key=lambda person: float(person.box[0]))
    (near, far), (soles, other_soles) = zip(
        *((each.posed.joints[0, 2], each.vertices[:, 1].max()) for each in (woman, man))
    )
    assert 0.8 < near / far < 0.97
    assert (soles - other_soles).abs() < 0.15


if __name__ == "__main__":
    measured = json.dumps({name: measure(name) for name in NAMES})
    rounded = json.loads(measured, parse_float=lambda number: round(float(number), 4))
    GOLDEN.write_text(json.dumps(rounded) + "\n")
