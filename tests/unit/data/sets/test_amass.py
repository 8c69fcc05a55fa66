"""AMASS, from files in its layouts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from spoiling import refuses_or_reads

from nbf.data.sets.amass import read_amass
from nbf.errors import DataError
from nbf.geometry.rotations import matrix_from_axis_angle


def arrays(numbers: int = 156, rate: str = "mocap_framerate", frames: int = 7) -> dict[str, object]:
    draw = np.random.default_rng(numbers)
    return {
        "poses": draw.normal(0, 0.5, (frames, numbers)),
        "trans": draw.normal(0, 1, (frames, 3)),
        "betas": draw.normal(0, 1, 16),
        "gender": "female",
        rate: 120.0,
    }


def write(folder: Path, name: str, given: dict[str, object]) -> Path:
    path = folder / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **given)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("gender", ["female", b"female"])
@pytest.mark.parametrize(("numbers", "rate"), [(156, "mocap_framerate"), (165, "mocap_frame_rate")])
def test_poses_are_smpls_in_a_world_with_y_up(tmp_path: Path, gender: object, numbers: int, rate: str) -> None:
    given = arrays(numbers, rate) | {"gender": gender}
    ending = "poses" if numbers == 156 else "stageii"
    write(tmp_path, f"CMU/01/01_01_{ending}", given)
    write(tmp_path, "CMU/01/shape", {"betas": np.zeros(16)})
    (sequence,) = read_amass(tmp_path, "train")
    assert (sequence.name, sequence.gender, sequence.rate) == (f"CMU/01/01_01_{ending}", "female", 120)
    poses = np.asarray(given["poses"])
    np.testing.assert_allclose(sequence.poses[:, 1:22].reshape(7, 63), poses[:, 3:66], rtol=1e-6)
    assert not sequence.poses[:, 22:].any()
    # What was up (z) is up (y), and what went along y goes along -z.
    theirs = matrix_from_axis_angle(torch.from_numpy(poses[:, :3])).numpy()
    ours = matrix_from_axis_angle(torch.from_numpy(sequence.poses[:, 0])).numpy()
    np.testing.assert_allclose(ours[:, 1], theirs[:, 2], atol=1e-5)
    np.testing.assert_allclose(ours[:, 2], -theirs[:, 1], atol=1e-5)
    np.testing.assert_allclose(ours[:, 0], theirs[:, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("rate", "wanted", "got", "count"), [(120.00004578, 30, 30, 2), (100, 30, 25, 2), (20, 30, 20, 7)]
)
def test_thinning_keeps_below_a_rate(tmp_path: Path, rate: float, wanted: float, got: float, count: int) -> None:
    write(tmp_path, "CMU/01/a_poses", arrays() | {"mocap_framerate": rate})
    (sequence,) = read_amass(tmp_path, "train")
    thin = sequence.thinned(wanted)
    assert thin.rate == pytest.approx(got, rel=1e-5)
    assert len(thin.poses) == count
    np.testing.assert_array_equal(thin.poses, sequence.poses[:: round(rate / got)])


def test_subsets_make_the_splits(tmp_path: Path) -> None:
    for subset in ("CMU", "KIT", "HumanEva", "SSM_synced"):
        write(tmp_path, f"{subset}/1/a_poses", arrays())
    names = {split: [each.name for each in read_amass(tmp_path, split)] for split in ("train", "validation", "test")}
    assert names == {
        "train": ["CMU/1/a_poses", "KIT/1/a_poses"],
        "validation": ["HumanEva/1/a_poses"],
        "test": ["SSM_synced/1/a_poses"],
    }
    with pytest.raises(DataError, match="split"):
        read_amass(tmp_path, "val")


def test_a_folder_without_sequences_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"_poses\.npz"):
        read_amass(tmp_path, "train")


@pytest.mark.parametrize(
    "wrong",
    [
        {"poses": np.zeros((7, 72))},
        {"poses": np.full((7, 156), np.nan)},
        {"gender": "unknown"},
        {"gender": 1.0},
        {"mocap_framerate": 0.0},
        {"betas": np.zeros((1, 16))},
    ],
)
def test_sequences_of_another_kind_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    write(tmp_path, "CMU/01/a_poses", arrays() | wrong)
    sequences = read_amass(tmp_path, "train")
    with pytest.raises(DataError, match=r"a_poses\.npz"):
        list(sequences)


def test_a_spoilt_file_is_one_clean_error(tmp_path: Path) -> None:
    path = write(tmp_path, "CMU/01/a_poses", arrays())
    sequences = read_amass(tmp_path, "train")
    refuses_or_reads(path, lambda: list(sequences))
