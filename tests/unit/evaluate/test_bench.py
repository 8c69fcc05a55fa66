"""Who is in the benchmark: the same people whatever is asked for, and on each track what its name promises."""

from pathlib import Path

import pytest
import torch

from nbf.evaluate.bench import GROUP, Benchmark, Group, group_seed
from nbf.geometry.camera import Camera
from nbf.synth.room import Room
from nbf.synth.tracks import TRACKS, Track

NOWHERE = Path("no such folder")


@pytest.fixture(scope="module")
def benches() -> dict[Track, Benchmark]:
    return {track: Benchmark.load(track, 0, NOWHERE) for track in TRACKS}


@pytest.fixture(scope="module")
def firsts(benches: dict[Track, Benchmark]) -> dict[Track, Group]:
    return {track: bench.group(0) for track, bench in benches.items()}


def same(a: Group, b: Group, count: int = GROUP) -> bool:
    return all(torch.equal(a.batch[name][:count], b.batch[name][:count]) for name in a.batch)


def test_people_depend_on_their_index_alone(benches: dict[Track, Benchmark], firsts: dict[Track, Group]) -> None:
    bench = benches["wild"]
    second = bench.group(1)
    assert not torch.equal(second.batch["betas"], firsts["wild"].batch["betas"])
    few = list(bench.groups(GROUP + 3))
    assert [len(group.batch["betas"]) for group in few] == [GROUP, 3]
    assert same(few[0], firsts["wild"])
    assert same(few[1], second, 3)
    assert few[1].state == second.state


def test_threads_draw_the_same_people(benches: dict[Track, Benchmark], firsts: dict[Track, Group]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = benches["studio"].group(0)
    finally:
        torch.set_num_threads(before)
    assert again.state == firsts["studio"].state
    pictures = again.batch.pop("image"), firsts["studio"].batch["image"]
    for name, value in again.batch.items():
        torch.testing.assert_close(value, firsts["studio"].batch[name])
    # Rounding in JPEG's quantisation turns a last bit into a step of a coefficient, in a block here and there.
    assert (pictures[0] - pictures[1]).abs().max() < 0.1
    assert (pictures[0] - pictures[1]).abs().mean() < 1e-5


def test_seeds_are_all_different() -> None:
    seeds = {group_seed(track, seed, index) for track in TRACKS for seed in range(5) for index in range(100)}
    assert len(seeds) == 2 * 5 * 100
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_studio_people_are_fully_seen_by_one_level_camera(firsts: dict[Track, Group]) -> None:
    batch = firsts["studio"].batch
    pixels = Camera(batch["focal"], batch["center"]).project(batch["vertices"])
    assert ((pixels > 0) & (pixels < 256)).all()
    assert (batch["keypoints"][..., 2] == 1).all()
    torch.testing.assert_close(batch["vertices"][..., 1].amax(1), torch.full((GROUP,), Room().camera_height))


def test_wild_people_are_cut_off_and_seen_from_everywhere(firsts: dict[Track, Group]) -> None:
    batch = firsts["wild"].batch
    assert (batch["keypoints"][..., 2] == 0).any()
    assert batch["joints_3d"][:, 0, 2].max() > 6
