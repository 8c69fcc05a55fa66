"""The whole line on untrained networks: what holds whatever the weights are; `nbf predict` on good and bad files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from located import locates
from PIL import Image
from strangers import as_called, as_made
from torch import nn

import nbf
from nbf import networks as networks_module
from nbf import predictor as predictor_module
from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.cli import main
from nbf.cli._results import result_names
from nbf.errors import InputError, ModelFileError
from nbf.export.npz import load_people
from nbf.geometry import Camera, Crop
from nbf.known import Known
from nbf.methods import method
from nbf.nets.blocks import multiplies_bfloat16
from nbf.nets.doubt import Doubt
from nbf.nets.fitter import Fitter
from nbf.nets.hmr import Hmr
from nbf.nets.locator import Locator, LocatorOutput
from nbf.nets.mean_body import UPRIGHT
from nbf.nets.pavlakos import Pavlakos
from nbf.nets.regressor import Regressor
from nbf.nets.segmenter import Segmenter
from nbf.nets.unet import UNet
from nbf.nets.weights import save_network
from nbf.networks import Networks
from nbf.predictor import Predictor
from nbf.proxy.proxy import Crops, Proxy, Rgb
from nbf.proxy.segmented import BATCH, Segmented
from nbf.solve.fit import Fit, Method

BOXES = [[60.0, 20.0, 120.0, 180.0], [10.0, 40.0, 70.0, 150.0]]


class _Center(Locator):
    """Finds one person in the middle half of every picture; nobody where the picture is black."""

    def forward(self, image):
        cells = torch.full((len(image), 1, 33, 33), -9.0)
        cells[:, 0, 16, 16] = torch.where(image.amax(dim=(1, 2, 3)) > 0, 3.0, -9.0)
        return LocatorOutput(cells, torch.full((len(image), 4, 33, 33), 0.25))


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    body = load_body("anny24", "small")
    fitter = Fitter(body.shape_count)
    # Untrained heads answer the mean body; louder ones answer differently to different maps.
    nn.init.normal_(fitter.lifter.head.weight, std=0.2)
    own = (
        _Center(),
        Segmenter(),
        fitter,
        Doubt(body.shape_count),
        Hmr(body.shape_count),
        Pavlakos(body.shape_count),
        Regressor(18, body.shape_count),
    )
    return Networks(own, body, exact=True)


@pytest.fixture(scope="module")
def predictor(networks):
    return Predictor(networks, method("nbf", networks))


@pytest.fixture(scope="module")
def plain(networks):
    """Without refinement, which has no sense of bodies as wild as these; tests/golden has it with real ones."""
    return Predictor(networks, method("nbf-plain", networks))


@pytest.fixture(autouse=True)
def everybody_stays(monkeypatch):
    """Untrained networks see nobody where untrained networks put a body."""
    monkeypatch.setattr("nbf.suppression.LEAST_SUPPORT", 0.0)


@pytest.fixture(scope="module")
def photo():
    coarse = np.random.default_rng(0).integers(0, 255, (20, 15, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((150, 200), Image.Resampling.BICUBIC)).copy()


def test_a_picture_gives_people_with_promised_shapes(predictor, photo):
    people = predictor.predict(photo)
    assert len(people) == 1
    person = people[0]
    body = predictor.body
    assert person.vertices.shape == body.template.shape
    assert person.faces is body.faces
    assert person.rotations.shape == (24, 3, 3)
    assert person.betas.shape == (body.shape_count,)
    torch.testing.assert_close(torch.linalg.det(person.rotations), torch.ones(24), atol=1e-4, rtol=0)
    assert person.parts.probabilities.shape == (25, 64, 64)
    torch.testing.assert_close(person.parts.probabilities.sum(dim=0), torch.ones(64, 64))
    assert 0 < person.score < 1
    # The locator's box is in units of the 200 px square around the picture, which is 150 px wide.
    torch.testing.assert_close(person.box, torch.tensor([25.0, 50.0, 125.0, 150.0]))
    again = body(person.betas, person.rotations, person.translation)
    torch.testing.assert_close(again.vertices, person.vertices)


def test_kinds_of_picture_agree(predictor, photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png")
    tensor = torch.from_numpy(photo).permute(2, 0, 1)
    first = predictor.predict(photo)[0]
    for source in (tmp_path / "a.png", Image.fromarray(photo), tensor, tensor / 255.0):
        torch.testing.assert_close(predictor.predict(source)[0].vertices, first.vertices)


def test_a_turned_photo_with_exif_is_the_upright_one(predictor, photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(photo).copy()).save(tmp_path / "turned.png", exif=exif)
    torch.testing.assert_close(
        predictor.predict(tmp_path / "turned.png")[0].joints_2d(), predictor.predict(photo)[0].joints_2d()
    )


def test_nobody_is_an_empty_result(predictor):
    people = predictor.predict(np.zeros((100, 80, 3), np.uint8))
    assert len(people) == 0
    assert len(predictor.predict(np.zeros((100, 80, 3), np.uint8), boxes=np.zeros((0, 4)))) == 0


def test_batch_equals_single(plain, photo):
    """Of people who are far from each other; others compete for pixels."""
    apart = [[20.0, 20.0, 50.0, 60.0], [100.0, 140.0, 130.0, 180.0]]
    both = plain.predict(photo, boxes=apart)
    assert [person.score for person in both] == [1.0, 1.0]
    for box, person in zip(apart, both, strict=True):
        alone = plain.predict(photo, boxes=[box])[0]
        torch.testing.assert_close(alone.vertices, person.vertices, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not multiplies_bfloat16("cpu"), reason="this processor does not multiply bfloat16")
def test_bfloat16_sees_nearly_the_same_parts(networks, photo):
    crops = Crop.from_boxes(torch.tensor(BOXES), 256)
    seen = Crops(crops.sample(torch.from_numpy(photo).permute(2, 0, 1)), Camera(torch.ones(2), torch.zeros(2, 2)))
    exact, fast = (Segmented(networks.segmenter, exact=exact)(seen).parts for exact in (True, False))
    torch.testing.assert_close(fast, exact, atol=0.02, rtol=0)


@pytest.mark.slow
def test_crowds_go_through_in_batches(predictor, photo):
    boxes = [[10.0 + i, 20.0, 90.0 + i, 180.0] for i in range(BATCH + 3)]
    people = predictor.predict(photo, boxes=boxes)
    torch.testing.assert_close(torch.stack([person.box for person in people]), torch.tensor(boxes))
    assert len(predictor.predict(photo, boxes=boxes, max_people=2)) == 2


def test_a_border_moves_the_pelvis_by_its_width(plain, photo):
    padded = np.zeros((260, 250, 3), np.uint8)
    padded[40:240, 30:180] = photo
    shift = torch.tensor([30.0, 40.0])
    # Not refined: refinement knows perspective, and a larger picture has another lens.
    alone = plain.predict(photo, boxes=BOXES)
    moved = plain.predict(padded, boxes=torch.tensor(BOXES) + shift.repeat(2))
    for a, b in zip(alone, moved, strict=True):
        torch.testing.assert_close(a.rotations, b.rotations, atol=1e-4, rtol=0)
        torch.testing.assert_close(a.joints_2d()[0] + shift, b.joints_2d()[0], atol=0.01, rtol=0)


def test_focal_length_is_the_callers_else_exifs_else_the_diagonal(predictor, photo, tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 50
    Image.fromarray(photo).save(tmp_path / "a.jpg", exif=exif)
    focals = [
        float(predictor.predict(picture, focal=focal).camera.focal)
        for picture, focal in ((photo, 300), (tmp_path / "a.jpg", 300), (tmp_path / "a.jpg", None), (photo, None))
    ]
    np.testing.assert_allclose(focals, [300, 300, 250 * 50 / 43.2666, 250], rtol=1e-4)


@pytest.mark.parametrize(
    "boxes",
    [[[60, 20, 50, 180]], [[500, 0, 600, 50]], [[0, 0, np.nan, 10]], [1, 2, 3], "all", [[-50, -50, -10, -10]]],
)
def test_bad_boxes_are_refused(predictor, photo, boxes):
    with pytest.raises(InputError, match="boxes: expected"):
        predictor.predict(photo, boxes=boxes)


@pytest.mark.parametrize("focal", [0, -5, float("nan"), float("inf")])
def test_bad_focal_lengths_are_refused(predictor, photo, focal):
    with pytest.raises(InputError, match="focal"):
        predictor.predict(photo, focal=focal)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"focal": "wide"}, "focal: expected something like 28mm"),
        ({"focal": 1e300}, "focal: expected 5mm to 2000mm"),
        ({"known": {"height": 1.8}}, "known: expected nbf.Known"),
        ({"known": Known(height=torch.tensor([1.8, 1.5]))}, "height: expected one where people are yet to be located"),
        ({"known": Known(height=torch.tensor([1.8, 1.5, 1.2])), "boxes": BOXES}, "each of 2 people, got 3"),
        ({"known": Known(shape=(torch.zeros(3), torch.eye(3)))}, "shape: expected .* betas, got those of 3"),
        ({"keypoints": torch.full((1, 17, 3), 2.0)}, "keypoints: expected scores in 0..1"),
        ({"max_people": 1.5}, "max_people: expected a whole number"),
        ({"min_score": "high"}, "min_score: expected a probability"),
    ],
)
def test_arguments_are_refused_by_name(predictor, photo, wrong, words):
    with pytest.raises(InputError, match=words):
        as_called(Predictor.predict, predictor, photo, **wrong)


def test_later_steps_refuse_by_name_as_well(predictor, photo):
    people = predictor.predict(photo, boxes=BOXES[:1])
    for wrong in (None, people[0], [people[0]], "people"):
        with pytest.raises(InputError, match="people: expected what predict or load_people gave"):
            as_called(Predictor.refit, predictor, wrong)
        with pytest.raises(InputError, match="photos: expected a list of what predict gave"):
            as_called(Predictor.share_shape, predictor, wrong)
    for options, words in (({"known": {}}, "known: expected"), ({"focal": "wide"}, "focal: expected")):
        with pytest.raises(InputError, match=words):
            as_called(Predictor.refit, predictor, people, **options)


@pytest.mark.parametrize("wrong", [7, ["nbf"], b"nbf", np.zeros(3)])
def test_loading_refuses_by_name(networks, wrong):
    with pytest.raises(InputError, match="method: expected one of nbf"):
        as_called(method, wrong, networks)
    with pytest.raises(InputError, match=r"device: .* cannot be used here"):
        as_called(networks_module._checked, wrong)
    if not isinstance(wrong, bytes):
        with pytest.raises(InputError, match="weights: expected a path"):
            as_called(nbf.load, weights=wrong)


def test_the_lens_may_be_told_in_millimetres(predictor, photo):
    people = predictor.predict(photo, focal="28mm", boxes=BOXES[:1])
    assert float(people.camera.focal) == pytest.approx(250 * 28 / 43.2666, rel=1e-4)
    assert float(predictor.refit(people, focal="50mm").camera.focal) == pytest.approx(250 * 50 / 43.2666, rel=1e-4)


def test_heights_belong_to_boxes(networks, photo):
    """Each to its own, whatever `max_people` leaves of them."""
    told = []

    class Told(_Flat):
        def __call__(self, proxy, known):
            heights = known.heights(len(proxy))
            assert heights is not None
            told.append(heights.tolist())
            return super().__call__(proxy, known)

    predictor = Predictor(networks, Method(Rgb(), Told(networks.body.shape_count)))
    known = as_made(Known, height=[1.75, 1.5])
    predictor.predict(photo, boxes=BOXES, known=known)
    predictor.predict(photo, boxes=BOXES, known=known, max_people=1)
    predictor.predict(photo, boxes=BOXES, known=Known(height=1.25))
    assert told == [[1.75, 1.5], [1.75], [1.25, 1.25]]


@pytest.mark.parametrize(
    "given",
    [
        {"boxes": [[10, 10, 11, 11]]},
        {"boxes": [[-1900, -1900, 1900, 1900]]},
        {"boxes": [[149, 199, 151, 1900]]},
        {"keypoints": torch.full((1, 17, 3), 1e38) * torch.tensor([1.0, 1, 0])},
        {"keypoints": torch.cat([torch.full((3, 17, 2), 60.0), torch.ones(3, 17, 1)], dim=2)},
        {"keypoints": torch.cat([torch.full((1, 17, 2), 1e-38), torch.full((1, 17, 1), 1e-38)], dim=2)},
        {"max_people": 10**30},
    ],
)
def test_extremes_give_finite_bodies(predictor, photo, given):
    for person in predictor.predict(photo, **({"boxes": BOXES[:1]} | given)):
        assert person.vertices.isfinite().all()
        assert person.certainty.shape_covariance.isfinite().all()


def test_the_result_keeps_its_own_pixels(predictor, photo):
    mine = photo.copy()
    people = predictor.predict(mine)
    mine[:] = 0
    np.testing.assert_array_equal(people.picture.pixels, photo)


@pytest.mark.parametrize("wrong", [{"max_people": 0}, {"max_people": True}, {"min_score": 0}, {"min_score": 30}])
def test_bad_limits_are_refused(predictor, photo, wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name}: expected"):
        predictor.predict(photo, **wrong)


def test_the_least_score_decides_who_is_found(predictor, photo):
    score = predictor.predict(photo)[0].score
    assert len(predictor.predict(photo, min_score=score - 0.01)) == 1
    assert len(predictor.predict(photo, min_score=score + 0.01)) == 0


def located(predictor, monkeypatch, boxes):
    """From now on `predictor` locates people in these boxes, each less sure than the one before."""
    found = torch.tensor(boxes), torch.linspace(0.99, 0.97, len(boxes))
    locates(monkeypatch, lambda image, min_score: found)


def test_located_people_are_left_out_where_they_are_somebody_already_found(predictor, photo, monkeypatch, caplog):
    twice = [BOXES[0], [value + 1 for value in BOXES[0]]]
    located(predictor, monkeypatch, [*twice, BOXES[1]])
    # Untrained networks see twins otherwise where the maps of both compete.
    monkeypatch.setattr("nbf.predictor.competing", lambda proxy, crops: proxy)
    with caplog.at_level("INFO", "nbf"):
        people = predictor.predict(photo)
    torch.testing.assert_close(torch.stack([person.box for person in people]), torch.tensor(BOXES))
    assert "left out somebody in" in caplog.text
    # Others take the place of those left out.
    assert len(predictor.predict(photo, max_people=2)) == 2
    # Whoever gives boxes knows better.
    assert len(predictor.predict(photo, boxes=twice)) == 2


class _Flat:
    """Whoever is seen stands as the mean does, as large as a crop is bright; nobody knows how sure that is."""

    def __init__(self, shapes: int) -> None:
        self.shapes = shapes
        self.told: list[Proxy] = []

    def __call__(self, proxy: Proxy, known: Known) -> Fit:
        assert proxy.image is not None
        self.told.append(proxy)
        count = len(proxy)
        upright = torch.eye(3).repeat(count, 24, 1, 1)
        upright[:, 0] = UPRIGHT
        depth = 5 - proxy.image.mean((1, 2, 3))
        middle = proxy.camera.unproject(torch.full((count, 1, 2), 0.5), depth[:, None])[:, 0]
        return Fit(Bodies(torch.zeros(count, self.shapes), upright, middle))


def test_a_method_may_see_nothing_but_the_picture(networks, photo, tmp_path):
    """People are found, drawn and written all the same; how sure the bodies are stays unknown."""
    solve = _Flat(networks.body.shape_count)
    predictor = Predictor(networks, Method(Rgb(), solve))
    people = predictor.predict(photo, boxes=BOXES)
    assert len(predictor.predict(photo)) == 1
    assert people[0].certainty.joint_error.isnan().all()
    assert people[0].certainty.cells.sum() > 0
    assert people.summary().width > 0
    record = json.loads(people.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert record["people"][0]["certainty"]["joint_error_mm"]["head"] is None
    assert record["people"][0]["measurements"]["height_m"]["sigma"] is None
    loaded = load_people(people.export(tmp_path / "people.npz"), photo)
    torch.testing.assert_close(loaded[1].vertices, people[1].vertices, atol=1e-4, rtol=0)
    assert loaded[0].certainty.shape_covariance.isnan().all()
    again = predictor.refit(loaded)
    torch.testing.assert_close(again[0].vertices, people[0].vertices, atol=1e-3, rtol=0)
    with pytest.raises(InputError, match="says how sure it is"):
        predictor.share_shape([people, people])


def test_unknown_devices_and_methods_are_refused(networks):
    with pytest.raises(InputError, match="use 'cpu'"):
        nbf.load(device="toaster")
    with pytest.raises(InputError, match=r"expected one of nbf, nbf-plain, .*, got 'smpl'"):
        method("smpl", networks)


def test_what_a_method_cannot_use_is_refused(plain, photo):
    with pytest.raises(InputError, match="use the method nbf"):
        plain.predict(photo, known=Known(height=1.7))
    with pytest.raises(InputError, match="use the method nbf"):
        plain.predict(photo, keypoints=torch.ones(1, 17, 3))


def test_what_was_trained_takes_the_place_of_what_is_bundled(networks, tmp_path):
    save_network(networks.fitter, tmp_path / "weights", {})
    found = Networks.load(tmp_path)
    torch.testing.assert_close(found.fitter.mean_betas, networks.fitter.mean_betas)
    assert found.segmenter.arguments == Networks.load().segmenter.arguments
    save_network(networks.fitter, tmp_path / "twice", {})
    with pytest.raises(ModelFileError, match="a second fitter"):
        Networks.load(tmp_path)
    with pytest.raises(ModelFileError, match="no such folder"):
        Networks.load(tmp_path / "gone")
    save_network(UNet(3, 3, 8), tmp_path / "small" / "weights", {})
    with pytest.raises(ModelFileError, match="expected networks that methods use, got a unet"):
        Networks.load(tmp_path / "small")


def test_one_bad_file_stops_nobody(predictor, photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("not a picture")
    Image.fromarray(photo).save(tmp_path / "c.png")
    results = list(predictor.predict_many([tmp_path, tmp_path / "gone.png"]))
    assert [path.name for path, _ in results] == ["a.png", "b.png", "c.png", "gone.png"]
    assert [isinstance(people, nbf.People) for _, people in results] == [True, False, True, False]
    assert all(path.name in str(error) for path, error in results if isinstance(error, InputError))


@pytest.fixture
def tool(predictor, monkeypatch):
    monkeypatch.setattr(predictor_module, "load", lambda *options: predictor)


def test_nbf_predict_writes_everything_and_reports_failures(tool, photo, tmp_path, capsys):
    album = tmp_path / "album"
    album.mkdir()
    Image.fromarray(photo).save(album / "a.png")
    (album / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    Image.new("RGB", (60, 40)).save(album / "nobody.png")
    out = tmp_path / "out"
    assert main(["predict", str(album), str(tmp_path / "gone.jpg"), "-o", str(out), "--json"]) == 1
    assert sorted(path.name for path in out.iterdir()) == [
        ".nbf",
        *("a.json", "a.png", "a_0.glb", "a_0.npz", "a_0.obj"),
        *("nobody.json", "nobody.png"),
    ]
    printed = capsys.readouterr()
    assert "2 of 4 photos done, people: 1" in printed.out
    assert "bad.jpg" in printed.err
    assert "gone.jpg: no such file" in printed.err
    assert len(json.loads((out / "a.json").read_text())["people"]) == 1
    with Image.open(out / "a.png") as sheet:
        sheet.load()
    assert main(["predict", str(album / "a.png"), "-o", str(out)]) == 0


def test_nbf_predict_takes_boxes_and_a_least_score(tool, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "a.png")
    out = tmp_path / "out"
    boxes = [",".join(map(str, box)) for box in BOXES]
    assert (
        main(["predict", str(tmp_path / "a.png"), "-o", str(out), "--json", *("--box", boxes[0], "--box", boxes[1])])
        == 0
    )
    assert [person["box"] for person in json.loads((out / "a.json").read_text())["people"]] == BOXES
    assert main(["predict", str(tmp_path / "a.png"), "-o", str(out), "--min-score", "0.99"]) == 0
    assert "nobody found" in capsys.readouterr().out


def test_nbf_predict_does_not_overwrite_its_photos(tool, photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    assert main(["predict", str(tmp_path / "a.png"), "-o", str(tmp_path)]) == 0
    assert (tmp_path / "a.png").read_bytes() == before
    assert (tmp_path / "a-2.png").exists()


def test_result_names_never_clash(tmp_path):
    photos = [Path(name) for name in ("x/a.jpg", "y/a.jpg", "y/A.png", "a-2.jpg", "b.jpg")]
    names = result_names(photos, tmp_path)
    assert names == ["a", "a-2", "A-3", "a-2-2", "b"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["predict"], 2, "at least one photo"),
        (["predikt"], 2, "predict"),
        (["predict", "a.jpg", "--max-people", "0"], 2, "max_people"),
        (["predict", "a.jpg", "--min-score", "30"], 2, "min_score: expected a probability"),
        (["predict", "a.jpg", "--box", "1,2,3"], 2, "--box: expected X0,Y0,X1,Y1 in pixels"),
        (["predict", "a.jpg", "b.jpg", "--box", "1,2,3,4"], 2, "--box: expected one photo"),
        (["predict", "a.jpg", "--height", "178"], 2, "did you mean 1.78"),
        (["predict", "a.jpg", "--method", "nbf-plain", "--height", "1.7"], 2, "--method nbf-plain"),
        (["predict", "a.jpg", "b.jpg", "--parts", "a.png"], 2, "--parts: expected one picture"),
        (["refine", "a.npz", "--age-group", "old"], 2, "expected one of infant"),
        (["refine"], 2, "at least one .npz"),
        (["predict", "a.jpg", "-o", __file__], 2, "expected a folder"),
    ],
)
def test_mistakes_are_named(tool, capsys, arguments, status, words):
    assert main(arguments) == status
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["predict", "--help"]])
def test_help_does_not_wait_for_torch(arguments):
    code = f"import sys; from nbf.cli import main\ntry: main({arguments!r})\nfinally: assert 'torch' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Error" not in result.stderr
    assert "nbf" in result.stdout


def test_verbs_are_listed_with_their_help(capsys):
    assert main([]) == 0
    assert "predict   " in capsys.readouterr().out
