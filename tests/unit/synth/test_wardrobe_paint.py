import pytest
import torch

from nbf.body.files import load_body
from nbf.synth.paint import paint_clothes
from nbf.synth.recolor import GROUPS, HAIR, LOWER, SHOES, SKIN, UPPER


@pytest.fixture(scope="module")
def body():
    return load_body("anny24", "small")


def test_painted_people_are_clothed_where_clothes_belong(body):
    painted = paint_clothes(body, torch.Generator().manual_seed(0), 200)
    parts = body.face_parts
    assert painted.rgb.shape == (200, len(parts), 3)
    assert painted.rgb.min() >= 0
    assert painted.rgb.max() <= 1
    assert set(painted.groups.unique().tolist()) == set(range(len(GROUPS)))
    share = {
        g: torch.stack([(painted.groups[:, parts == p] == g).float().mean() for p in range(1, 25)]) for g in range(5)
    }
    hands, torso, feet = slice(10, 12), slice(12, 14), slice(22, 24)
    assert (share[SKIN][hands] == 1).all()
    assert (share[UPPER][torso] + share[LOWER][torso] > 0.7).all()
    assert (share[SHOES][feet] > 0.7).all()
    assert share[HAIR][2:].sum() == 0
    assert (share[HAIR][:2] > 0.1).all()


def test_same_seed_same_people(body):
    first, second = (paint_clothes(body, torch.Generator().manual_seed(5), 3) for _ in range(2))
    assert torch.equal(first.rgb, second.rgb)
    assert torch.equal(first.groups, second.groups)


def test_people_differ(body):
    painted = paint_clothes(body, torch.Generator().manual_seed(1), 50)
    assert painted.rgb.mean(1).std(0).min() > 0.05
