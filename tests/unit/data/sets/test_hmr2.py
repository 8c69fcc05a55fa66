"""4D-Humans' NPZ files."""

from pathlib import Path

import numpy as np
import pytest
from spoiling import refuses_or_reads

from nbf.data.catalogue import recognised
from nbf.data.sets.hmr2 import SET
from nbf.errors import DataError


def arrays() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)

    def joints(count: int, axes: int) -> np.ndarray:
        return np.concatenate([draw.uniform(0, 500, (2, count, axes)), draw.uniform(0, 1, (2, count, 1))], axis=2)

    return {
        "imgname": np.array(["a.jpg", "b.jpg"]),
        "center": draw.uniform(100, 300, (2, 2)),
        "scale": np.array([[100.0, 200], [50, 80]]),
        "body_keypoints_2d": joints(25, 2),
        "extra_keypoints_2d": joints(19, 2),
        "body_keypoints_3d": joints(25, 3),
        "extra_keypoints_3d": joints(19, 3),
        "body_pose": draw.normal(0, 1, (2, 72)),
        "betas": draw.normal(0, 1, (2, 10)),
        "has_body_pose": np.array([1, 0]),
        "has_betas": np.array([1, 1]),
    }


def write(folder: Path, name: str, given: dict[str, np.ndarray]) -> Path:
    path = folder / f"{name}.npz"
    np.savez(path, **given)  # type: ignore[arg-type]
    return path


def test_scale_is_in_pixels(tmp_path: Path) -> None:
    given = arrays()
    write(tmp_path, "h36m_val_p2", given)
    assert recognised(tmp_path) == [SET]
    for row, picture in enumerate(SET.open(tmp_path, "h36m_val_p2")):
        (person,) = picture.people
        assert person.box is not None
        np.testing.assert_allclose(person.box[2:] - person.box[:2], given["scale"][row], rtol=1e-4)
        np.testing.assert_allclose((person.box[2:] + person.box[:2]) / 2, given["center"][row], rtol=1e-4)
    write(tmp_path, "h36m_val_p2", given | {"scale": np.array([70.0, 90])})
    box = SET.open(tmp_path, "h36m_val_p2")[1].people[0].box
    assert box is not None
    np.testing.assert_allclose(box[2:] - box[:2], [90, 90], rtol=1e-4)


def test_joints_and_bodies(tmp_path: Path) -> None:
    given = arrays()
    write(tmp_path, "coco_val", given)
    first, second = (picture.people[0] for picture in SET.open(tmp_path, "coco_val"))
    assert first.joints_2d is not None
    assert first.joints_3d is not None
    assert first.relative
    # COCO's are indices of pixels; knees that people labelled follow OpenPose's.
    np.testing.assert_allclose(first.joints_2d.points[:25], given["body_keypoints_2d"][0, :, :2] + 0.5, rtol=1e-5)
    np.testing.assert_allclose(
        first.joints_2d.to("lsp14").points, given["extra_keypoints_2d"][0, :14, :2] + 0.5, rtol=1e-5
    )
    np.testing.assert_allclose(first.joints_3d.points[25:], given["extra_keypoints_3d"][0, :, :3], rtol=1e-5)
    assert first.body is not None
    np.testing.assert_allclose(first.body.betas, given["betas"][0], rtol=1e-6)
    assert second.body is None


@pytest.mark.parametrize("value", [np.ones((2, 3)), np.ones(3), np.array(["a", "b"]), np.array([1, np.nan])])
def test_scales_of_another_kind_are_refused(tmp_path: Path, value: np.ndarray) -> None:
    write(tmp_path, "coco_val", arrays() | {"scale": value})
    with pytest.raises(DataError, match=r"coco_val\.npz"):
        SET.open(tmp_path, "coco_val")


def test_a_spoilt_file_is_one_clean_error(tmp_path: Path) -> None:
    path = write(tmp_path, "coco_val", arrays())
    refuses_or_reads(path, lambda: list(SET.open(tmp_path, "coco_val")))
