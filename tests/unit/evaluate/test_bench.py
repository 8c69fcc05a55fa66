"""The benchmark's files: read as they were written, and the shipped ones as the documentation says they are."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.errors import DataError
from nbf.evaluate.bench import FOLDER, GROUP, Benchmark, Group, save
from nbf.geometry.camera import Camera
from nbf.geometry.rotations import matrix_from_axis_angle
from nbf.raster.zbuffer import rasterize
from nbf.synth.labels import soft_one_hot
from nbf.synth.room import Room
from nbf.synth.tracks import TRACKS, Track

ROOT = Path(__file__).parents[3]
PEOPLE = 1000
EXACT = ("labels", "betas", "translation", "joints_3d", "focal", "center")


def drawn(group: Group) -> dict[str, Tensor]:
    """The people of a group as a sampler hands them out, in pictures and labels such as codecs are made for."""
    ramp, pixel = torch.linspace(0, 1, 256), torch.arange(256)
    picture = ramp[:, None] * ramp * torch.tensor([1.0, 0.6, 0.3])[:, None, None]
    stripes = ((pixel // 50)[:, None] + pixel // 13 + torch.tensor([0, 9, 18])[:, None, None]) % 25
    return group.batch | {"image": picture.repeat(3, 1, 1, 1), "labels": stripes.byte()}


def test_what_was_written_is_read(group: Group, tmp_path: Path) -> None:
    """Numbers and labels exactly, rotations to rounding, pictures to the codec's error."""
    written = drawn(group)
    save([written] * 8, tmp_path / "wild")
    bench = Benchmark.load("wild", tmp_path)
    groups = list(bench.groups(len(bench)))
    assert [len(group.batch["focal"]) for group in groups] == [GROUP, 4]
    read = {name: torch.cat([group.batch[name] for group in groups]) for name in groups[0].batch}
    for person in range(24):
        for name in EXACT:
            assert torch.equal(read[name][person], written[name][person % 3]), name
        torch.testing.assert_close(read["rotations"][person], written["rotations"][person % 3], atol=1e-6, rtol=0)
        assert (read["image"][person] - written["image"][person % 3]).abs().mean() < 2 / 255
    assert not read["ignore"].any()


def test_the_same_people_make_the_same_files(group: Group, tmp_path: Path) -> None:
    save([drawn(group)], tmp_path / "wild")
    save([drawn(group)], tmp_path / "studio")
    assert (tmp_path / "studio/pictures.zip").read_bytes() == (tmp_path / "wild/pictures.zip").read_bytes()


def test_shares_are_of_the_pixels(group: Group, tmp_path: Path) -> None:
    """Every share of every cell is what counting gives."""
    save([drawn(group)], tmp_path / "wild")
    (read,) = Benchmark.load("wild", tmp_path).groups(3)
    cells = drawn(group)["labels"].unflatten(2, (64, 4)).unflatten(1, (64, 4))
    assert torch.equal(
        read.batch["parts"], torch.stack([(cells == part).float().mean((2, 4)) for part in range(25)], 1)
    )


def test_fewer_people_are_the_first(group: Group, tmp_path: Path) -> None:
    save([drawn(group)], tmp_path / "wild")
    (read,) = Benchmark.load("wild", tmp_path).groups(2)
    assert torch.equal(read.batch["betas"], group.batch["betas"][:2])


@pytest.mark.parametrize("damage", ["nothing there", "cut short", "a picture too few", "another body", "pickles"])
def test_a_damaged_track_says_what_to_do(damage: str, group: Group, tmp_path: Path) -> None:
    folder = tmp_path / "wild"
    if damage != "nothing there":
        save([drawn(group)], folder)
    numbers = dict(np.load(folder / "people.npz")) if folder.is_dir() else {}
    if damage == "cut short":
        whole = (folder / "pictures.zip").read_bytes()
        (folder / "pictures.zip").write_bytes(whole[: len(whole) // 2])
    elif damage == "a picture too few":
        np.savez(folder / "people.npz", **{name: value[:2] for name, value in numbers.items()})
    elif damage == "another body":
        np.savez(folder / "people.npz", **numbers | {"betas": numbers["betas"][:, :-1]})
    elif damage == "pickles":
        np.savez(folder / "people.npz", **numbers | {"betas": numbers["betas"].astype(object)})
    with pytest.raises(DataError, match=r"wild.*expected.*--people|draw_benchmark"):
        Benchmark.load("wild", tmp_path)


def test_a_damaged_picture_says_what_to_do(group: Group, tmp_path: Path) -> None:
    save([drawn(group)], tmp_path / "wild")
    content = bytearray((tmp_path / "wild/pictures.zip").read_bytes())
    content[200:300] = bytes(100)
    (tmp_path / "wild/pictures.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"pictures.zip.*draw_benchmark"):
        list(Benchmark.load("wild", tmp_path).groups(3))


@pytest.fixture(scope="module")
def shipped() -> dict[Track, Benchmark]:
    return {track: Benchmark.load(track, ROOT / FOLDER) for track in TRACKS}


@dataclass(frozen=True)
class Seen:
    """The first people of a track, and the shares of parts that their naked bodies alone would show."""

    batch: dict[str, Tensor]
    vertices: Tensor
    bare: Tensor


@pytest.fixture(scope="module")
def seen(shipped: dict[Track, Benchmark]) -> dict[Track, Seen]:
    found = {}
    for track, bench in shipped.items():
        batch = next(bench.groups(GROUP)).batch
        body = bench.body
        vertices = body(batch["betas"], batch["rotations"], batch["translation"]).vertices
        found[track] = Seen(batch, vertices, soft_one_hot(bare_labels(body, vertices, batch), 4))
    return found


def bare_labels(body: BodyModel, vertices: Tensor, batch: dict[str, Tensor]) -> Tensor:
    seen = rasterize(Camera(batch["focal"], batch["center"]).pixels_depth(vertices), body.faces, 256, 256)
    return torch.where(seen.mask, body.face_parts[seen.face], 0)


def test_the_tracks_are_as_large_as_documented(shipped: dict[Track, Benchmark]) -> None:
    assert {track: len(bench) for track, bench in shipped.items()} == dict.fromkeys(TRACKS, PEOPLE)
    files = [file for track in TRACKS for file in (ROOT / FOLDER / track).iterdir()]
    assert sorted(file.name for file in files) == sorted(2 * ["people.npz", "pictures.zip"])
    assert sum(file.stat().st_size for file in files) < 25e6


@pytest.mark.parametrize("track", TRACKS)
def test_everybody_s_joints_are_the_body_s(track: Track, shipped: dict[Track, Benchmark]) -> None:
    """To a tenth of a millimetre: the body model is still the one that people were drawn with."""
    bench = shipped[track]
    rotations = matrix_from_axis_angle(bench.numbers["poses"].unflatten(-1, (24, 3)))
    for rows in torch.arange(PEOPLE).split(100):
        body = bench.body(bench.numbers["betas"][rows], rotations[rows], bench.numbers["trans"][rows])
        assert (body.joints - bench.numbers["joints"][rows]).norm(dim=-1).max() < 1e-4
    # Nobody twice.
    assert len(torch.unique(bench.numbers["betas"], dim=0)) == PEOPLE


def test_parts_are_where_the_body_is(seen: dict[Track, Seen]) -> None:
    """In the studio nothing but clothes is between body and eye; in the wild less of the body is seen."""
    agreement = {}
    for track, people in seen.items():
        labels, bare = people.batch["parts"].argmax(1), people.bare.argmax(1)
        both = (labels > 0) & (bare > 0)
        agreement[track] = (labels == bare)[both].float().mean(), both.sum() / (bare > 0).sum()
    assert min(same for same, _ in agreement.values()) > 0.8
    assert agreement["studio"][1] > 0.95
    assert 0.4 < agreement["wild"][1] < agreement["studio"][1]


def test_studio_people_are_fully_seen_by_one_level_camera(seen: dict[Track, Seen]) -> None:
    people = seen["studio"]
    pixels = Camera(people.batch["focal"], people.batch["center"]).project(people.vertices)
    assert ((pixels > 0) & (pixels < 256)).all()
    lowest = people.vertices[..., 1].amax(1)
    torch.testing.assert_close(lowest, torch.full((GROUP,), Room().camera_height), atol=1e-4, rtol=0)


def test_wild_people_are_cut_off_and_seen_from_everywhere(seen: dict[Track, Seen]) -> None:
    people = seen["wild"]
    assert people.batch["joints_3d"][:, 0, 2].max() > 6
    # Beyond the photo's end a crop is black, and shows nobody.
    black = people.batch["image"].amax(1) < 0.02
    cut = (black & (people.bare.repeat_interleave(4, 2).repeat_interleave(4, 3)[:, 0] == 0)).flatten(1).sum(1) > 100
    assert 0 < cut.sum() < GROUP // 2
    assert not (people.batch["labels"].bool() & black)[cut].float().mean() > 0.01
