"""tools/calibrate.py: twice as far off as was said is a factor of two."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from nbf.body.bodies import SHAPE_START, Bodies
from nbf.body.files import load_body
from nbf.errors import InputError
from nbf.nets.mean_body import UPRIGHT
from nbf.proxy.proxy import Crops, Proxy
from nbf.solve.fit import Fit, Method

COUNT = 400


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "tools")
    return importlib.import_module("calibrate")


def people() -> dict[str, Tensor]:
    upright = torch.eye(3).repeat(COUNT, 24, 1, 1)
    upright[:, 0] = UPRIGHT
    return {
        "image": torch.zeros(COUNT, 3, 8, 8),
        "parts": torch.zeros(COUNT, 25, 4, 4),
        "betas": torch.zeros(COUNT, 11),
        "rotations": upright,
        "translation": torch.tensor([[0.0, 0.0, 4.0]]).repeat(COUNT, 1),
        "focal": torch.full((COUNT,), 300.0),
        "center": torch.full((COUNT, 2), 128.0),
    }


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_errors_are_counted_in_what_was_said(tool: ModuleType, factor: float) -> None:
    """Bodies off at random as a covariance has it, whose said covariance is smaller or larger."""
    body, batch = load_body("anny24", "small"), people()
    true = Bodies.placed(body, batch["betas"], batch["rotations"], batch["translation"])
    sigma = torch.full((true.freedoms,), 0.02)
    sigma[SHAPE_START:] = 0.2
    steps = sigma * torch.randn(COUNT, true.freedoms, generator=torch.Generator().manual_seed(0))
    said = torch.diag((sigma / factor) ** 2).repeat(COUNT, 1, 1)
    how = Method(lambda crops: Proxy(crops.camera), lambda proxy, known: Fit(true.moved(steps), said))
    found = tool.calibrate(how, body, [batch])
    assert found.shape == pytest.approx(factor, rel=0.1)
    # The mean length of a normal error in space is 0.92 of the root of its variance where all directions are alike.
    assert 0.75 * factor < found.joints < factor


def test_a_method_without_covariance_is_refused(tool: ModuleType) -> None:
    body, batch = load_body("anny24", "small"), people()
    true = Bodies.placed(body, batch["betas"], batch["rotations"], batch["translation"])

    def see(crops: Crops) -> Proxy:
        return Proxy(crops.camera)

    with pytest.raises(InputError, match="says how sure it is"):
        tool.calibrate(Method(see, lambda proxy, known: Fit(true)), body, [batch])
