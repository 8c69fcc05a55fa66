"""What a user knows reaches the bodies: heights, lenses, joints, repainted parts, several photos of one person."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nbf
from nbf.body.joints import COCO17
from nbf.body.parts import MIRROR24
from nbf.cli import main
from nbf.corrections import UNTOUCHED, Correction
from nbf.export.npz import load_people
from nbf.known import NOTHING, Known
from nbf.networks import Networks
from nbf.predictor import Predictor
from nbf.proxy.part_files import read_part_map, write_part_map

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.jpg"


@pytest.fixture(scope="module")
def predictor() -> nbf.Predictor:
    return nbf.load()


@pytest.fixture(scope="module")
def people(predictor: nbf.Predictor) -> nbf.People:
    return predictor.predict(DEMO)


def furthest(some: nbf.People, others: nbf.People) -> float:
    """Metres between the vertices of people who are in the same order."""
    pairs = zip(some, others, strict=True)
    return max(float((one.vertices - other.vertices).norm(dim=-1).max()) for one, other in pairs)


def pixel_errors(person: nbf.Person, keypoints: torch.Tensor) -> torch.Tensor:
    return (person.joints_2d("coco17") - keypoints[:, :2]).norm(dim=-1)


def test_a_known_height_is_met_and_scales_the_distance(predictor: nbf.Predictor, people: nbf.People) -> None:
    for height in (1.5, 1.9):
        known = predictor.predict(DEMO, known=Known(height=height))
        for person, guess in zip(known, people, strict=True):
            assert person.measurements["height_m"][0] == pytest.approx(height, abs=0.02)
            assert person.measurements["height_m"][1] < 0.02 < guess.measurements["height_m"][1]
            ratio = height / guess.measurements["height_m"][0]
            assert float(person.posed.joints[0, 2] / guess.posed.joints[0, 2]) == pytest.approx(ratio, rel=0.05)


def test_a_longer_lens_moves_people_away(predictor: nbf.Predictor, people: nbf.People) -> None:
    longer = predictor.predict(DEMO, focal=2 * float(people.camera.focal))
    for person, guess in zip(longer, people, strict=True):
        assert float(person.posed.joints[0, 2] / guess.posed.joints[0, 2]) == pytest.approx(2, rel=0.1)


def test_padded_pictures_have_the_same_bodies(predictor: nbf.Predictor, people: nbf.People) -> None:
    """Within 5 mm, if one says where the lens looks; otherwise people are seen from another side."""
    focal, (x, y) = float(people.camera.focal), people.camera.center.tolist()
    # The locator looks at squares around a picture: of this one it is shown the same, and of the next one other pixels.
    pixels = np.pad(people.picture.pixels, ((0, 0), (100, 100), (0, 0)))
    assert furthest(predictor.predict(pixels, focal=focal, center=(x + 100, y)), people) < 0.005
    pixels = np.pad(people.picture.pixels, ((0, 0), (200, 0), (0, 0)))
    boxes = torch.stack([person.box for person in people]) + torch.tensor([200.0, 0, 200, 0])
    there = predictor.predict(pixels, focal=focal, center=(x + 200, y), boxes=boxes)
    assert there.camera.lens == "given"
    assert furthest(there, people) < 0.005
    elsewhere = predictor.predict(pixels, focal=focal, boxes=boxes)
    assert furthest(elsewhere, people) > 0.05
    assert furthest(predictor.refit(elsewhere, center=(x + 200, y)), predictor.refit(people)) < 0.005


def test_refits_keep_the_camera_but_for_what_is_given(predictor: nbf.Predictor, people: nbf.People) -> None:
    again = predictor.refit(people)
    assert (again.camera.lens, again.camera.center.tolist()) == ("guess", people.camera.center.tolist())
    moved = predictor.refit(people, center=(300, 400))
    assert (moved.camera.lens, float(moved.camera.focal)) == ("guess", float(people.camera.focal))
    longer = predictor.refit(moved, focal=1500)
    assert (longer.camera.lens, longer.camera.center.tolist()) == ("given", [300, 400])
    assert all(person.camera is longer.camera for person in longer)
    with pytest.raises(nbf.InputError, match="center: expected"):
        predictor.refit(people, center="middle")


def test_children_are_smaller_than_adults(predictor: nbf.Predictor) -> None:
    heights = [
        predictor.predict(DEMO, known=Known(age_group=group))[0].measurements["height_m"][0]
        for group in ("infant", "child", "adult")
    ]
    assert heights == sorted(heights)


def test_facts_are_of_whom_they_are_about(predictor: nbf.Predictor, people: nbf.People) -> None:
    """A child beside an adult, told by their boxes, whatever their order."""
    facts = [nbf.Facts(box=person.box, age=age) for person, age in zip(people, (6, 40), strict=True)]
    for told in (facts, facts[::-1]):
        child, adult = predictor.predict(DEMO, known=told)
        assert child.measurements["height_m"][0] < 1.4 < adult.measurements["height_m"][0]
    one_by_one = Predictor(Networks.load(), replace(predictor.method, together=None))
    each, told, untold = (one_by_one.predict(DEMO, known=known) for known in (facts, facts[:1], NOTHING))
    torch.testing.assert_close(told[0].betas, each[0].betas, atol=1e-3, rtol=0)
    torch.testing.assert_close(told[1].betas, untold[1].betas, atol=1e-3, rtol=0)


def test_what_is_known_of_one_sets_the_size_of_the_other(predictor: nbf.Predictor, people: nbf.People) -> None:
    """They stand on one floor."""
    heights = []
    for tall in (1.2, 1.9):
        facts = nbf.Facts(box=people[0].box, height=tall)
        told, other = predictor.predict(DEMO, known=facts)
        assert abs(told.measurements["height_m"][0] - tall) < 0.03
        heights.append(other.measurements["height_m"][0])
    assert heights[1] > heights[0] + 0.03


def test_men_and_women_have_other_shapes(predictor: nbf.Predictor, people: nbf.People) -> None:
    """Of one height: hips are wider against shoulders, and the body is nearer to women's than to men's draws."""
    body, info = people[0].body, people[0].body.shape_info
    adults = info[:, 0] > 18
    women, men = (body.shape_samples[adults & (info[:, 1] > 0.8)], body.shape_samples[adults & (info[:, 1] < 0.2)])
    axis = women.mean(0) - men.mean(0)
    for tall in (None, 1.72):
        told = [nbf.Facts(sex=sex, age=35, height=tall) for sex in ("female", "male")]
        found = [predictor.predict(DEMO, known=each)[0].betas for each in told]
        assert float((found[0] - found[1]) @ axis / axis.norm() ** 2) > 0.4


def test_facts_of_nobody_are_refused(predictor: nbf.Predictor) -> None:
    with pytest.raises(nbf.InputError, match="nobody was found at"):
        predictor.predict(DEMO, known=[nbf.Facts(box=(0, 0, 5, 5), age=5)])
    with pytest.raises(nbf.InputError, match="expected one where people are yet to be located"):
        predictor.predict(DEMO, known=Known(age=torch.tensor([5.0, 40.0])))


def test_facts_come_from_a_file(people: nbf.People, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"box": people[0].box.tolist(), "age": 6},
        {"box": people[1].box.tolist(), "sex": "male", "age": 40, "height": 1.9},
    ]
    (tmp_path / "facts.json").write_text(json.dumps(rows))
    command = ["predict", str(DEMO), "-o", str(tmp_path / "out"), "--format", "npz", "--facts"]
    assert main([*command, str(tmp_path / "facts.json")]) == 0
    child, adult = (load_people(tmp_path / "out" / f"demo_{i}.npz")[0] for i in range(2))
    assert child.measurements["height_m"][0] < 1.4
    assert adult.measurements["height_m"][0] == pytest.approx(1.9, abs=0.02)
    (tmp_path / "facts.json").write_text('[{"size": 3}]')
    assert main([*command, str(tmp_path / "facts.json")]) == 1
    assert "expected names out of sex, age" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--sex", "robot"], ["--age", "-3"], ["--weight", "5000"]])
def test_impossible_facts_are_mistakes(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(DEMO), *option]) == 2
    assert option[0].strip("-") in capsys.readouterr().err


def test_refinement_brings_the_body_to_the_joints_that_were_seen(predictor: nbf.Predictor, people: nbf.People) -> None:
    before = nbf.load(method="nbf-plain").predict(DEMO)
    for person, start in zip(people, before, strict=True):
        trusted = person.keypoints[:, 2] > 0.5
        after, first = (pixel_errors(each, person.keypoints)[trusted].mean() for each in (person, start))
        assert after < first


def test_given_keypoints_pull_the_body(predictor: nbf.Predictor, people: nbf.People) -> None:
    moved = torch.cat([people[0].joints_2d("coco17"), torch.zeros(17, 1)], 1)
    wrist = 9
    moved[wrist] += torch.tensor([25.0, -25.0, 1.0])
    pulled = predictor.predict(DEMO, keypoints=moved[None])
    assert pixel_errors(pulled[0], moved)[wrist] < 0.5 * pixel_errors(people[0], moved)[wrist]
    # But for what follows from where they stand beside each other.
    torch.testing.assert_close(pulled[1].rotations, people[1].rotations, atol=3e-3, rtol=0)


def test_results_come_back_from_their_file(predictor: nbf.Predictor, people: nbf.People, tmp_path: Path) -> None:
    """Refitting with nothing new known gives the same bodies, within the file's half precision."""
    again = predictor.refit(load_people(people.export(tmp_path / "people.npz"), DEMO))
    for person, earlier in zip(again, people, strict=True):
        assert (person.joints_3d() - earlier.joints_3d()).norm(dim=-1).max() < 0.005
        torch.testing.assert_close(person.certainty.seen, earlier.certainty.seen, atol=0.02, rtol=0, equal_nan=True)


def test_exchanged_parts_turn_the_person_around(predictor: nbf.Predictor, people: nbf.People, tmp_path: Path) -> None:
    """A part map with left and right, front and back exchanged, written and read again: somebody seen from behind."""
    exchanged = np.asarray(MIRROR24, np.uint8)
    for front in (3, 5, 7, 9, 13, 15, 17, 19, 21):
        exchanged[[front, front + 1]] = exchanged[[front + 1, front]]
    labels = exchanged[people.part_labels()]
    write_part_map(labels, tmp_path / "parts.png")
    parts = read_part_map(tmp_path / "parts.png", people.picture.width, people.picture.height)
    refitted = predictor.refit(people, parts=parts)
    for before, after in zip(people, refitted, strict=True):
        left, right = (person.joints_2d()[1, 0] - person.joints_2d()[2, 0] for person in (before, after))
        assert float(left * right) < 0


def test_photos_of_one_person_share_a_shape(predictor: nbf.Predictor, people: nbf.People) -> None:
    mirrored = predictor.predict(people.picture.pixels[:, ::-1].copy())
    one, two = predictor.share_shape([people, mirrored])
    assert len(one) == len(two) == 1
    torch.testing.assert_close(one[0].betas, two[0].betas, atol=0.05, rtol=0)


def test_the_verbs_take_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "a")
    arguments = ["predict", str(DEMO), "-o", out, "--height", "1.7", "--focal", "28mm", "--json", "--write-parts"]
    arguments += ["--center", "350,470.5"]
    assert main(arguments) == 0
    camera = json.loads((tmp_path / "a" / "demo.json").read_text())["camera"]
    assert (camera["lens"], camera["center"]) == ("given", [350, 470.5])
    files = {path.name for path in (tmp_path / "a").iterdir()}
    assert {"demo.png", "demo_0.npz", "demo.json", "demo_parts.png"} <= files
    assert Image.open(tmp_path / "a" / "demo_parts.png").size == Image.open(DEMO).size
    arguments = ["refine", f"{out}/demo_0.npz", f"{out}/demo_1.npz", "-o", str(tmp_path / "b"), "--height", "1.6"]
    assert main(arguments) == 0
    assert {"demo_0.png", "demo_0_0.glb", "demo_1.png"} <= {path.name for path in (tmp_path / "b").iterdir()}
    assert main(["refine", str(DEMO), "-o", str(tmp_path / "c")]) == 1
    assert "demo.jpg" in capsys.readouterr().err
    assert main(["predict", str(DEMO), "-o", str(tmp_path / "d"), "--focal", "-3"]) == 2
    assert "focal: expected something like 28mm" in capsys.readouterr().err
    arguments = ["refine", f"{out}/demo_0.npz", "-o", str(tmp_path / "e"), "--center", "360,480", "--json"]
    assert main(arguments) == 0
    camera = json.loads((tmp_path / "e" / "demo_0.json").read_text())["camera"]
    assert (camera["lens"], camera["center"]) == ("given", [360, 480])
    assert main([*arguments[:-2], "9e9,480"]) == 1
    assert "center: expected x, y within 5 focal lengths" in capsys.readouterr().err


def test_a_joint_that_is_dragged_comes_along(predictor: nbf.Predictor, people: nbf.People) -> None:
    """Within 2 % of the crop, against everything that was seen; others keep their pose."""
    ankle = COCO17.index("right_ankle")
    x, y = people[0].joints_2d("coco17")[ankle].tolist()
    dragged = predictor.refit(people, corrections=[Correction(joints={"right_ankle": (x - 90, y)}), Correction()])
    off = dragged[0].joints_2d("coco17")[ankle] - torch.tensor([x - 90, y])
    assert float(off.norm()) < 0.02 * float(people[0].parts.crop.size)
    torch.testing.assert_close(dragged[1].rotations, predictor.refit(people)[1].rotations, atol=0.005, rtol=0)


def test_a_wrist_goes_where_the_forearm_is_painted(predictor: nbf.Predictor, people: nbf.People) -> None:
    person, wrist, elbow = people[0], COCO17.index("right_wrist"), COCO17.index("right_elbow")
    start = person.parts.crop.to_crop(person.keypoints[:, :2])[elbow].numpy()
    y, x = np.mgrid[:256, :256] + 0.5
    labels = person.parts.probabilities.argmax(0).numpy().astype(np.uint8).repeat(4, 0).repeat(4, 1)
    paint = np.full((256, 256), UNTOUCHED, np.uint8)
    paint[np.isin(labels, (9, 10, 12))] = 0  # where the forearm was
    down = y - start[1]
    column = np.abs(x - start[0]) < 9
    paint[column & (down > 0) & (down < 32)] = 9
    paint[column & (down >= 32) & (down < 42)] = 12
    target = person.keypoints[elbow, :2] + torch.tensor([0.0, 32 * float(person.parts.crop.size) / 256])
    before = float((person.joints_2d("coco17")[wrist] - target).norm())
    repainted = predictor.refit(people, corrections=[Correction(paint=paint), Correction()])
    assert float((repainted[0].joints_2d("coco17")[wrist] - target).norm()) < 0.4 * before
