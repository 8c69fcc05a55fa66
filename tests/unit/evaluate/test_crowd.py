"""The files of the track of several people: read as they were written, and the shipped ones as the docs say."""

import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.measure import height
from nbf.body.model import BodyModel
from nbf.errors import DataError
from nbf.evaluate.bench import FOLDER
from nbf.evaluate.crowd import CrowdBenchmark, save
from nbf.geometry import Camera, matrix_from_axis_angle
from nbf.synth.gathering import PEOPLE, YOUNGEST, Gathering
from nbf.synth.hall import SIZES

ROOT = Path(__file__).parents[3]
PICTURES = 150


@pytest.fixture(scope="session")
def full() -> BodyModel:
    return load_body("anny24", "full")


@pytest.fixture
def gatherings(full: BodyModel) -> list[Gathering]:
    """Two pictures of two and three people, of numbers and pixels that mean nothing."""
    draw = torch.Generator().manual_seed(0)
    made = []
    for people, (width, tall) in ((2, (48, 32)), (3, (32, 48))):
        bodies = Bodies(
            torch.randn(people, full.shape_count, generator=draw),
            matrix_from_axis_angle(torch.randn(people, 24, 3, generator=draw)),
            torch.rand(people, 3, generator=draw) + 2,
        )
        made.append(
            Gathering(
                image=torch.full((3, tall, width), 90, dtype=torch.uint8),
                parts=torch.randint(25, (tall, width), generator=draw).byte(),
                person=torch.randint(people + 1, (tall, width), generator=draw).byte(),
                camera=Camera(torch.tensor(50.0), torch.tensor([width / 2, tall / 2])),
                up=torch.tensor([0.0, -0.8, -0.6]),
                above=torch.tensor(1.5),
                bodies=bodies,
                joints=torch.randn(people, 24, 3, generator=draw),
                seen=torch.rand(people, generator=draw),
                joints_seen=torch.rand(people, 24, generator=draw),
                sex=torch.rand(people, generator=draw),
                age=80 * torch.rand(people, generator=draw),
                height=torch.rand(people, generator=draw) + 1,
                mass=100 * torch.rand(people, generator=draw),
            )
        )
    return made


def test_what_was_written_is_read(gatherings: list[Gathering], full: BodyModel, tmp_path: Path) -> None:
    """Numbers and labels exactly, rotations and places to rounding, pictures to the codec's error."""
    save(gatherings, full, tmp_path / "crowd")
    bench = CrowdBenchmark.load(tmp_path)
    assert len(bench) == 2
    for read, written in zip(bench.pictures(2), gatherings, strict=True):
        for field in fields(Gathering):
            if field.name not in ("image", "camera", "bodies"):
                assert torch.equal(getattr(read, field.name), getattr(written, field.name)), field.name
        assert torch.equal(read.camera.focal, written.camera.focal)
        assert torch.equal(read.camera.center, written.camera.center)
        assert torch.equal(read.bodies.betas, written.bodies.betas)
        torch.testing.assert_close(read.bodies.rotations, written.bodies.rotations, atol=1e-5, rtol=0)
        torch.testing.assert_close(read.bodies.pelvis, written.bodies.pelvis, atol=1e-5, rtol=0)
        assert (read.image.float() - written.image.float()).abs().mean() < 2


def test_the_same_pictures_make_the_same_files(gatherings: list[Gathering], full: BodyModel, tmp_path: Path) -> None:
    for name in ("one", "other"):
        save(gatherings, full, tmp_path / name)
    assert (tmp_path / "one/pictures.zip").read_bytes() == (tmp_path / "other/pictures.zip").read_bytes()


def test_fewer_pictures_are_the_first(gatherings: list[Gathering], full: BodyModel, tmp_path: Path) -> None:
    save(gatherings, full, tmp_path / "crowd")
    (read,) = CrowdBenchmark.load(tmp_path).pictures(1)
    assert torch.equal(read.bodies.betas, gatherings[0].bodies.betas)


DAMAGES = ("nothing there", "cut short", "a person too few", "nobody in a picture", "another body", "nan", "pickles")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_track_says_what_to_do(
    damage: str, gatherings: list[Gathering], full: BodyModel, tmp_path: Path
) -> None:
    folder = tmp_path / "crowd"
    if damage != "nothing there":
        save(gatherings, full, folder)
    numbers = dict(np.load(folder / "crowd.npz")) if folder.is_dir() else {}
    changed = {
        "a person too few": lambda: {"seen": numbers["seen"][1:]},
        "nobody in a picture": lambda: {"picture": np.zeros(5, np.int32)},
        "another body": lambda: {"betas": numbers["betas"][:, :-1]},
        "nan": lambda: {"height": numbers["height"] * np.nan},
        "pickles": lambda: {"betas": numbers["betas"].astype(object)},
    }
    if damage == "cut short":
        whole = (folder / "pictures.zip").read_bytes()
        (folder / "pictures.zip").write_bytes(whole[: len(whole) // 2])
    elif damage in changed:
        np.savez(folder / "crowd.npz", **numbers | changed[damage]())
    with pytest.raises(DataError, match=r"crowd.*expected.*--people|draw_benchmark"):
        CrowdBenchmark.load(tmp_path)


def test_damaged_labels_say_what_to_do(gatherings: list[Gathering], full: BodyModel, tmp_path: Path) -> None:
    """Of somebody who is not there, or not of the picture's size."""
    first, second = gatherings
    save([replace(first, person=first.person + 1), second], full, tmp_path / "nobody/crowd")
    save(gatherings, full, tmp_path / "size/crowd")
    with zipfile.ZipFile(tmp_path / "size/crowd/pictures.zip") as file:
        content = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(tmp_path / "size/crowd/pictures.zip", "w") as file:
        for name in content:
            file.writestr(name, content[name.replace("0000_labels", "0001_labels")])
    for folder in ("nobody", "size"):
        with pytest.raises(DataError, match=r"pictures.zip.*draw_benchmark"):
            list(CrowdBenchmark.load(tmp_path / folder).pictures(2))


@pytest.fixture(scope="module")
def shipped() -> CrowdBenchmark:
    return CrowdBenchmark.load(ROOT / FOLDER)


def test_the_shipped_track_is_what_the_docs_say(shipped: CrowdBenchmark) -> None:
    """How many, how many a picture, a third of them partly hidden, children among them, and how large the files are."""
    numbers = shipped.numbers
    people = torch.bincount(shipped.picture)
    assert len(shipped) == PICTURES
    assert (people.min(), people.max()) == PEOPLE
    assert 0.25 < (numbers["seen"] < 0.8).float().mean() < 0.5
    assert (numbers["seen"] < 0.25).float().mean() < 0.1
    assert 0.1 < (numbers["age"] < 14).float().mean() < 0.25
    assert numbers["age"].min() >= YOUNGEST
    assert sum(file.stat().st_size for file in shipped.folder.iterdir()) < 3.2e6


def test_shipped_people_stand_on_their_floor(shipped: CrowdBenchmark) -> None:
    """The model is the one that they were drawn with, their heights are told, and nobody floats."""
    for picture in shipped.pictures(6):
        posed = picture.bodies.posed(shipped.body)
        torch.testing.assert_close(posed.joints, picture.joints, atol=1e-4, rtol=0)
        lowest = (posed.vertices @ picture.up).amin(1)
        torch.testing.assert_close(lowest, -picture.above.expand(len(lowest)), atol=1e-3, rtol=0)
        tall = height(shipped.body.rest_vertices(picture.bodies.betas))
        torch.testing.assert_close(tall, picture.height, atol=1e-3, rtol=0)
        assert picture.image.shape[:0:-1] in SIZES
        assert int(picture.person.max()) <= len(lowest)
