"""AGORA, from tables that pandas wrote and fits as its makers pickled them."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from agora_frames import PICTURES, fit, rest
from PIL import Image
from smpl import tiny_smpl
from spoiling import refuses_or_reads

from nbf.body.model import BodyModel
from nbf.body.smpl import read_smpl
from nbf.data.catalogue import recognised
from nbf.data.placed import in_camera
from nbf.data.sets.agora import SET

FRAMES = sorted((Path(__file__).parents[1] / "readers" / "frames").glob("*.pkl"))


@pytest.fixture
def agora(tmp_path: Path) -> Path:
    shutil.copy(FRAMES[0], tmp_path / "train_0_withjv.pkl")
    (tmp_path / "train").mkdir()
    (tmp_path / "smplx_gt").mkdir()
    for picture, (name, *_, people) in enumerate(PICTURES):
        # Of one picture only the small version is there.
        file = name if picture else f"{Path(name).stem}_1280x720.png"
        Image.new("RGB", (8, 4)).save(tmp_path / "train" / file)
        for person in range(people):
            (tmp_path / "smplx_gt" / f"{picture}_{person}.pkl").write_bytes(pickle.dumps(fit(picture, person), 2))
    return tmp_path


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> BodyModel:
    path = tmp_path_factory.mktemp("smpl") / "smpl.npz"
    table, offset = tiny_smpl(), np.array([0.02, 0.01, 0.03])
    table["v_template"] = np.concatenate([rest() - offset, rest() + offset])
    np.savez(path, **table)
    return BodyModel(read_smpl(path))


def test_joints_in_space_meet_those_in_the_picture(agora: Path) -> None:
    pictures = SET.open(agora, "train")
    assert [picture.name for picture in pictures] == [Path(name).stem for name, *_ in PICTURES]
    for picture in pictures:
        assert picture.camera is not None
        assert picture.pixels().shape == (4, 8, 3)
        for person in picture.people:
            assert person.joints_2d is not None
            assert person.joints_3d is not None
            projected = picture.camera.project(person.joints_3d.points)
            np.testing.assert_allclose(projected, person.joints_2d.points, atol=1e-3)
    small = pictures[0].camera
    assert small is not None
    assert small.center.tolist() == [640, 360]
    assert small.focal[0] == pytest.approx(50 / 36 * 1280)


def test_fits_stand_where_the_joints_are(agora: Path, body: BodyModel) -> None:
    for picture in SET.open(agora, "train"):
        for person in picture.people:
            if person.name == "1":  # a child
                assert person.body is None
                continue
            assert person.body is not None
            assert (person.body.model, person.body.gender) == ("smplx", "female")
            _, rotations, translation = in_camera(person.body, body)
            betas = body.shape_samples[0] * 0
            joints = body(betas, rotations, translation).joints.numpy()
            assert person.joints_3d is not None
            np.testing.assert_allclose(joints, person.joints_3d.points, atol=2e-5)


def test_who_is_hidden_is_ignored(agora: Path) -> None:
    assert [[person.ignore for person in picture.people] for picture in SET.open(agora, "train")] == [
        [False, False],
        [False],
        [True],
        [False],
    ]


def test_without_fits_there_are_joints(agora: Path) -> None:
    shutil.rmtree(agora / "smplx_gt")
    assert all(person.body is None for picture in SET.open(agora, "train") for person in picture.people)
    assert recognised(agora) == [SET]


def test_a_spoilt_table_is_one_clean_error(agora: Path) -> None:
    refuses_or_reads(agora / "train_0_withjv.pkl", lambda: list(SET.open(agora, "train")), 30)


def test_a_spoilt_fit_is_one_clean_error(agora: Path) -> None:
    pictures = SET.open(agora, "train")
    refuses_or_reads(agora / "smplx_gt" / "1_0.pkl", lambda: list(pictures), 30, needed=False)
