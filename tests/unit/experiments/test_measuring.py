"""Methods are measured: nobody is looked at twice, the time counts all the same, and the floor is a floor."""

import time

import pytest
import torch

from nbf.body.bodies import Bodies
from nbf.experiments.experiment import PRESETS, Lab
from nbf.experiments.measuring import SECONDS, MeanPose, Remembering, Subjects, gathered, measured, of
from nbf.geometry import Camera
from nbf.known import Known
from nbf.nets.fitter import Fitter
from nbf.nets.mean_body import UPRIGHT
from nbf.nets.weights import load_kind
from nbf.proxy.proxy import Crops, Proxy
from nbf.solve.fit import Fit, Method

PAUSE = 0.02


class Looking:
    """Sees joints in the middle, slowly, and counts the looks."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self, crops: Crops) -> Proxy:
        self.looks += 1
        time.sleep(PAUSE)
        return Proxy(crops.camera, joints=torch.full((len(crops), 17, 3), 0.5))


def crops(count: int, seed: int = 0, focal: float = 1.5) -> Crops:
    camera = Camera(torch.full((count,), focal), torch.full((count, 2), 0.5))
    return Crops(torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)), camera)


def test_nobody_is_looked_at_twice():
    see, memory = Looking(), {}
    first, again = Remembering(see, memory), Remembering(see, memory)
    first(crops(2))
    assert first.saved == 0
    seen = again(crops(2, focal=2.0))
    assert see.looks == 1
    assert again.saved >= PAUSE
    # What was seen is of the picture; the lens is what is said now.
    assert (seen.camera.focal == 2).all()
    again(crops(2, seed=1))
    assert see.looks == 2


@pytest.fixture(scope="module")
def fitter() -> Fitter:
    return load_kind("fitter", Fitter)


def test_the_floor_is_the_same_for_everybody_upright_and_in_the_middle(fitter):
    camera = Camera(torch.tensor([1.5, 3.0]), torch.tensor([[0.5, 0.5], [0.2, 0.9]]))
    found = MeanPose(fitter)(Proxy(camera)).bodies
    assert torch.equal(found.betas[0], found.betas[1])
    assert torch.equal(found.rotations[0], found.rotations[1])
    torch.testing.assert_close(found.rotations[:, 0], UPRIGHT.expand(2, 3, 3))
    # As far across the crop as in training on average, whatever the lens: near its middle.
    places = camera.project(found.pelvis[:, None])[:, 0]
    torch.testing.assert_close(places[0], places[1])
    assert (places - 0.5).abs().max() < 0.1
    # As large in the crop through every lens: twice as far through one twice as long.
    torch.testing.assert_close(found.pelvis[1, 2], 2 * found.pelvis[0, 2])


def test_the_truth_has_no_errors_and_time_is_shared(fitter, tmp_path, small_body):
    """Of a method that answers the truth; seconds are those of a group by its people."""
    lab = Lab(PRESETS["smoke"], tmp_path)
    some = [crops(2), crops(3, seed=1)]
    groups = [Subjects(each, MeanPose(fitter)(Proxy(each.camera)).bodies) for each in some]
    told: list[Known] = []

    def solve(proxy: Proxy, known: Known) -> Fit:
        told.append(known)
        time.sleep(PAUSE)
        return MeanPose(fitter)(proxy)

    scores, found = measured(
        lab, Method(Looking(), solve), groups, {}, lambda people: Known(height=1.5 + len(told) / 10)
    )
    assert [known.height for known in told] == [1.5, 1.6]
    for name in ("pa_mpjpe", "mpjpe", "pve", "shape", "height"):
        assert scores[name].shape == (5,)
        assert scores[name].max() < 0.1
    assert (scores[SECONDS][:2] >= 2 * PAUSE / 2).all()
    assert scores[SECONDS][0] == scores[SECONDS][1]
    assert found.betas.shape[0] == 5


def test_gathered_bodies_keep_their_order():
    rows = [Bodies(torch.full((n, 4), float(n)), torch.zeros(n, 24, 3, 3), torch.ones(n, 3)) for n in (1, 2)]
    assert gathered(rows).betas[:, 0].tolist() == [1, 2, 2]


def test_cases_of_a_group_go_by_the_rest_of_their_names():
    one = {"error": torch.ones(1)}
    results = {"wild.nbf": one, "wildest.nbf": one, "studio.nbf": one, "wild.a.b": one}
    assert of(results, "wild") == {"nbf": one, "a.b": one}
