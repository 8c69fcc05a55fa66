"""SPIN's NPZ files, and mmpose's."""

from pathlib import Path

import numpy as np
import pytest
from spoiling import refuses_or_reads

from nbf.data.catalogue import recognised
from nbf.data.sets.spin import SET
from nbf.errors import DataError

NAMES = np.array(
    [
        "images/S9_Directions_1.54138969_000001.jpg",
        "images/S9_Directions_1.54138969_000006.jpg",
        "images/S9_Directions_1.54138969_000001.jpg",
    ]
)


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    space = np.concatenate([draw.normal(0, 0.5, (3, 24, 3)), np.ones((3, 24, 1))], axis=2)
    space[:, 14, :3] = 0  # the pelvis
    return {
        "imgname": NAMES,
        "center": draw.uniform(300, 700, (3, 2)),
        "scale": draw.uniform(1, 4, 3),
        "part": np.concatenate([draw.uniform(0, 900, (3, 24, 2)), draw.integers(0, 2, (3, 24, 1))], axis=2),
        "openpose": np.concatenate([draw.uniform(0, 900, (3, 25, 2)), draw.uniform(0, 1, (3, 25, 1))], axis=2),
        "pose": draw.normal(0, 1, (3, 72)),
        "shape": draw.normal(0, 1, (3, 10)),
        "has_smpl": np.array([1, 0, 1]),
        "S": space,
        "gender": np.array(["m", "f", "f"]),
    }


def write(folder: Path, name: str, given: dict[str, np.ndarray]) -> Path:
    path = folder / f"{name}.npz"
    np.savez(path, **given)  # type: ignore[arg-type]
    return path


def test_rows_of_one_picture_are_its_people(tmp_path: Path) -> None:
    given = arrays()
    write(tmp_path, "h36m_valid_protocol1", given)
    assert recognised(tmp_path) == [SET]
    first, second = SET.open(tmp_path, "h36m_valid_protocol1")
    assert (len(first.people), len(second.people)) == (2, 1)
    assert first.source == tmp_path / "h36m" / NAMES[0]
    assert second.frame is not None
    assert (second.frame.subject, second.frame.action, second.frame.index) == ("S9", "Directions", 5)
    for person, row in zip(first.people, (0, 2)):
        assert person.box is not None
        np.testing.assert_allclose((person.box[:2] + person.box[2:]) / 2, given["center"][row], rtol=1e-5)
        np.testing.assert_allclose(person.box[2:] - person.box[:2], 200 * given["scale"][row], rtol=1e-5)
        assert person.body is not None
        assert person.body.gender == ("male", "", "female")[row]
        assert person.body.translation is None
        np.testing.assert_allclose(person.body.pose.ravel(), given["pose"][row], rtol=1e-6)
    assert second.people[0].body is None


@pytest.mark.parametrize(
    ("name", "shift"),
    [
        *(("h36m_train", 0), ("mpi_inf_3dhp_train", 0), ("mpii_train", -0.5), ("hr-lspet_train", -0.5)),
        *(("lsp_dataset_original_train", -0.5), ("coco_2014_train", 0.5)),
    ],
)
def test_each_data_set_has_its_own_pixels(tmp_path: Path, name: str, shift: float) -> None:
    given = arrays()
    write(tmp_path, name, given)
    joints = SET.open(tmp_path, name)[1].people[0].joints_2d
    assert joints is not None
    assert joints.order == "spin49"
    np.testing.assert_allclose(joints.points[25:], given["part"][1, :, :2] + shift, atol=1e-3)
    np.testing.assert_allclose(joints.points[:25], given["openpose"][1, :, :2] + 0.5, atol=1e-3)
    np.testing.assert_allclose(joints.weight[25:], given["part"][1, :, 2])


def test_joints_are_from_the_pelvis_unless_before_the_camera(tmp_path: Path) -> None:
    given = arrays()
    given["S"][1, :, 2] += 5  # as mmpose's files have them
    write(tmp_path, "h36m_train", given)
    first, second = SET.open(tmp_path, "h36m_train")
    assert first.people[0].relative
    assert not second.people[0].relative
    joints = second.people[0].joints_3d
    assert joints is not None
    np.testing.assert_allclose(joints.points, given["S"][1, :, :3], rtol=1e-5)


def test_an_evaluation_file_has_bodies_alone(tmp_path: Path) -> None:
    given = {name: each for name, each in arrays().items() if name not in ("part", "openpose", "S", "has_smpl")}
    given["imgname"] = np.array([b"imageFiles/street_00/image_00004.jpg"] * 3)
    write(tmp_path, "3dpw_test", given)
    (picture,) = SET.open(tmp_path, "3dpw_test")
    assert picture.frame is not None
    assert (picture.frame.sequence, picture.frame.index) == ("street_00", 4)
    assert len(picture.people) == 3
    for person in picture.people:
        assert person.body is not None
        assert person.joints_2d is None
        assert person.joints_3d is None


def test_static_fits_stand_in_where_there_is_no_body(tmp_path: Path) -> None:
    given = arrays()
    write(tmp_path, "coco_2014_train", given)
    (tmp_path / "static_fits").mkdir()
    path = tmp_path / "static_fits" / "coco_fits.npy"
    fits = np.random.default_rng(1).normal(0, 1, (3, 82))
    np.save(path, fits)
    first, second = SET.open(tmp_path, "coco_2014_train")
    assert second.people[0].body is not None
    np.testing.assert_allclose(second.people[0].body.betas, fits[1, 72:], rtol=1e-6)
    assert first.people[0].body is not None
    np.testing.assert_allclose(first.people[0].body.betas, given["shape"][0], rtol=1e-6)
    for wrong in (fits[:2], np.full((3, 82), np.nan), np.array(["a"])):
        np.save(path, wrong)
        with pytest.raises(DataError, match=r"coco_fits\.npy"):
            SET.open(tmp_path, "coco_2014_train")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", np.ones((3, 2))),
        ("part", np.ones((3, 14, 3))),
        ("pose", np.ones((2, 72))),
        ("S", np.full((3, 24, 4), np.nan)),
        ("gender", np.array(["m", "f", "?"])),
        ("imgname", np.arange(3)),
    ],
)
def test_labels_of_another_kind_are_refused(tmp_path: Path, name: str, value: np.ndarray) -> None:
    write(tmp_path, "h36m_train", arrays() | {name: value})
    with pytest.raises(DataError, match=r"h36m_train\.npz"):
        SET.open(tmp_path, "h36m_train")


def test_a_spoilt_file_is_one_clean_error(tmp_path: Path) -> None:
    path = write(tmp_path, "h36m_train", arrays())
    refuses_or_reads(path, lambda: list(SET.open(tmp_path, "h36m_train")))
