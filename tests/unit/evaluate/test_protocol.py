"""The protocol with a method that knows the answer, and the real one on networks that know nothing."""

from dataclasses import replace

import pytest
import torch

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.measure import height
from nbf.body.model import BodyModel
from nbf.evaluate import protocol
from nbf.evaluate.bench import Group
from nbf.geometry.camera import Camera
from nbf.nets.fitter import Fitter
from nbf.nets.segmenter import Segmenter
from nbf.proxy.proxy import Crops, Proxy, Truth
from nbf.proxy.segmented import Segmented
from nbf.solve.fit import Fit, Method
from nbf.solve.regress import Regress


def truth(group: Group, body: BodyModel) -> Bodies:
    return Bodies.placed(body, *(group.batch[name] for name in ("betas", "rotations", "translation")))


def knows(group: Group, body: BodyModel) -> Method:
    return Method(Truth("parts"), lambda proxy, known: Fit(truth(group, body)))


def test_the_truth_has_no_error(group: Group, body: BodyModel) -> None:
    scores = protocol.run([group, group], body, knows(group, body)).report()
    assert scores["n"] == 6
    for name in ("pa_mpjpe_mean_mm", "mpjpe_mean_mm", "pve_mean_mm", "pa_pve_mean_mm", "rotation_deg", "height_cm"):
        assert scores[name] == pytest.approx(0, abs=0.1), name
    for name in ("pckh50", "pck20_torso", "miou", "miou14", "f1"):
        assert scores[name] == 100, name


def test_wrong_parts_cost_what_they_should(group: Group, body: BodyModel) -> None:
    """Fronts called backs: nothing of 24 parts is right that has a back, all of the merged 14 are."""

    def swapped(crops: Crops) -> Proxy:
        order = list(range(25))
        for front in (3, 5, 7, 9, 13, 15, 17, 19, 21):
            order[front], order[front + 1] = front + 1, front
        return Proxy(crops.camera, group.batch["parts"][:, order])

    scores = protocol.run([group], body, replace(knows(group, body), see=swapped)).report()
    assert scores["miou14"] == 100
    assert scores["miou"] == pytest.approx(100 * 6 / 24, abs=0.01)
    assert scores["f1"] == pytest.approx(100 * 6 / 24, abs=0.01)


def test_entries_are_ranked_and_in_pixels_of_their_picture(group: Group, body: BodyModel) -> None:
    result = protocol.run([group], body, knows(group, body), keep=True)
    people = result.people | {"pa_mpjpe": torch.tensor([10.0, 90.0, 30.0])}
    entries = protocol.entries(result.kept, people, body)
    assert [entry.caption.split(": ")[-1] for entry in entries] == [f"PA-MPJPE {mm} mm" for mm in (90, 30, 10)]
    assert all(entry.picture.size == (256, 256) for entry in entries)
    assert entries[0].true is not None
    torch.testing.assert_close(entries[0].true, entries[0].vertices)
    pixels = entries[0].camera.project(entries[0].vertices)
    expected = Camera(group.batch["focal"], group.batch["center"]).project(
        body(*(group.batch[name] for name in ("betas", "rotations", "translation"))).vertices
    )
    torch.testing.assert_close(pixels[0], expected[1])


@pytest.mark.parametrize("segmenter", [None, Segmenter()])
def test_the_networks_answer_in_the_camera_frame(group: Group, body: BodyModel, segmenter: Segmenter | None) -> None:
    """An untrained fitter says: an upright adult whose pelvis is in the middle of the crop."""
    camera = Camera(group.batch["focal"], group.batch["center"])
    here = camera.scaled(1 / 256)
    method = Method(Truth("parts") if segmenter is None else Segmented(segmenter), Regress(Fitter(body.shape_count)))
    proxy, fit = method(Crops(group.batch["image"], here, Proxy(here, group.batch["parts"])))
    assert proxy.parts is not None
    assert proxy.parts.shape == (3, 25, 64, 64)
    posed = fit.bodies.posed(body)
    pelvis = camera.project(posed.joints[:, :1])[:, 0]
    assert (pelvis - 128).abs().max() < 20
    assert (posed.joints[:, 0, 2] - 400 * 1.7 * 1.2 / 256).abs().max() < 1


def test_facts_are_those_of_the_draws() -> None:
    body = load_body("anny24", "small")
    draws = body.shape_samples[:5] + 0.01
    told = protocol.facts(body, draws, ("age", "height"))
    torch.testing.assert_close(told.age, body.shape_info[:5, 0])
    torch.testing.assert_close(told.height, height(body.rest_vertices(draws)))
    assert told.sex is None
    assert not protocol.facts(body, draws, ())
