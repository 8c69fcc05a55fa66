"""tools/train_omran2018.py: two epochs of the paper's training, on data sets that are written in their layouts."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy import ndarray
from packs import small
from PIL import Image
from smpl import python2_pickle
from studio import write_cdf, write_studio

from nbf.body.files import load_body
from nbf.body.joints import PARENTS
from nbf.cli import main
from nbf.data.bodies import SetBodies
from nbf.data.catalogue import named
from nbf.data.joint_orders import ORDERS
from nbf.data.sets.human36m import JOINTS
from nbf.evaluate.model_joints import Ours
from nbf.geometry import matrix_from_axis_angle
from nbf.nets.omran import Omran
from nbf.nets.weights import load_kind
from nbf.proxy.shown import part_colours
from nbf.train.batch import Batch
from nbf.train.body_task import BodyTask
from nbf.train.labelled import LabelledCrops
from nbf.train.pictures import labelled_source, proxy_of

FRAMES, PHOTOS = 2, 8
SMALL = ["--blocks", "1", "1", "--width", "8", "--data.validation", "4", "--loop.log-every", "1", "--loop.rate", "1e-3"]
"""A network that a test can train, and a rate at which so few steps tell."""


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "tools")
    module = importlib.import_module("train_omran2018")
    monkeypatch.setattr(module, "BATCH", 4)
    return module


def poses(count: int, seed: int) -> ndarray:
    """Rotation vectors of people who stand, bent a little at random; the root is left alone."""
    pose = np.random.default_rng(seed).normal(0, 0.15, (count, 24, 3)).astype(np.float32)
    pose[:, 0] = 0
    return pose


def write_human36m(folder: Path) -> None:
    """People of ours in the middle of the studio, whose z is up."""
    studio = write_studio(folder, ("S1", "S9", "S11"), films=True, frames=FRAMES)
    up = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    for row, (subject, take) in enumerate(studio.poses):
        turns = matrix_from_axis_angle(torch.from_numpy(poses(FRAMES, row)))
        posed = small()(torch.zeros(FRAMES, 11), turns, torch.tensor([0.0, 0.95, 0]).expand(FRAMES, 3))
        points, _ = Ours()(small(), posed, ORDERS["human36m17"])
        joints = np.zeros((FRAMES, 32, 3), np.float32)
        joints[:, JOINTS] = 1000 * (points @ up.T).numpy()
        write_cdf(folder / subject / "MyPoseFeatures" / "D3_Positions" / f"{take}.cdf", joints)


def write_smpl(path: Path) -> None:
    """Our body in the layout of SMPL's files, with ten of its components."""
    body = small()
    template, dirs = body.template.double().numpy(), body.shape_dirs.double().numpy()[..., :10]
    # Joints that are means of vertices: of least norm among those that are right for all shapes.
    vertices = np.concatenate([template, dirs.transpose(0, 2, 1).reshape(len(template), -1)], 1)
    joints = np.concatenate(
        [body.joint_template.numpy(), body.joint_dirs.numpy()[..., :10].transpose(0, 2, 1).reshape(24, -1)], 1
    )
    regressor = np.linalg.lstsq(vertices.T, joints.T, rcond=None)[0].T
    table = {
        "v_template": template,
        "shapedirs": dirs,
        "posedirs": np.zeros((len(template), 3, 207)),
        "J_regressor": regressor,
        "weights": body.dense_weights.double().numpy(),
        "f": body.faces.numpy().astype(np.uint32),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(24)], dtype=np.uint32),
    }
    np.savez(path, **table)


def write_up3d(folder: Path) -> None:
    """The same people in photos, 5 m before a camera of 300 px."""
    folder.mkdir()
    for index in range(PHOTOS):
        pose = poses(1, 100 + index)[0]
        pose[0] = np.pi, 0, 0
        table = {"pose": pose.ravel().astype(float), "betas": np.zeros(10), "trans": np.zeros(3), "rt": np.zeros(3)}
        table |= {"t": np.array([0, 0, 5.0]), "f": 300.0}
        (folder / f"{index:05}_body.pkl").write_bytes(python2_pickle(table, 2))
        (folder / f"{index:05}_fit_crop_info.txt").write_text("160 160 0 160 0 160\n")
        joints = np.ones((3, 14))
        joints[0], joints[1] = np.linspace(50, 110, 14), np.linspace(20, 140, 14)
        np.save(folder / f"{index:05}_joints.npy", joints)
        Image.new("RGB", (160, 160), (index, 0, 0)).save(folder / f"{index:05}_image.png")
    for split, some in (("train", range(6)), ("val", range(6, PHOTOS))):
        (folder / f"{split}.txt").write_text("".join(f"/{index:05}_image.png\n" for index in some))


def total(task: BodyTask, batch: Batch) -> float:
    with torch.no_grad():
        return float(torch.stack(list(task.losses(task.network.eval(), batch).values())).sum())


@pytest.mark.slow
@pytest.mark.parametrize(("body", "camera"), [("anny24", "perspective"), ("smpl", "fixed")])
def test_two_epochs_lower_the_loss(recipe: ModuleType, tmp_path: Path, body: str, camera: str) -> None:
    write_human36m(tmp_path / "human36m")
    write_up3d(tmp_path / "up3d")
    write_smpl(tmp_path / "smpl.npz")
    asked = recipe.Recipe(
        tmp_path / "human36m", tmp_path / "up3d", tmp_path / "smpl.npz", body, camera, epochs=2, runs=tmp_path / "runs"
    )
    listed = recipe.commands(asked)
    assert [words[:2] for words in listed] == [["data", "bodies"], ["data", "bodies"], ["train", "omran"]] * 2
    for words in listed:
        assert main([*words, *(SMALL if words[0] == "train" else [])]) == 0
    for name in ("human36m", "up3d"):
        bodies = SetBodies.load(tmp_path / "runs" / f"{name}_train.npz")
        assert bodies.kept.all()
        log = [json.loads(line) for line in (tmp_path / "runs" / name / "log.jsonl").read_text().splitlines()]
        kind, folder = named(f"{name}:{tmp_path / name}")
        assert sum("loss" in row for row in log) == round(2 * len(kind.open(folder, "train")) / 4)
    learnt, body_model = load_kind(tmp_path / "runs" / "human36m" / "weights", Omran), small()
    if body == "smpl":
        body_model = load_body(tmp_path / "smpl.npz")
    bodies = SetBodies.load(tmp_path / "runs" / "human36m_train.npz")
    crops = LabelledCrops(
        named(f"human36m:{tmp_path / 'human36m'}")[0].open(tmp_path / "human36m", "train"), body_model, bodies
    )
    batch = next(labelled_source([(crops, 16)], 5, torch.device("cpu"))(0))
    task = BodyTask(learnt, lambda some: part_colours(proxy_of(some)), body_model)
    after = total(task, batch)
    learnt.head.weight.data.zero_()
    learnt.head.bias.data.zero_()
    assert after < 0.97 * total(task, batch)  # with a head of zeros it answers with the mean, as before training
    trained = load_kind(tmp_path / "runs" / "up3d" / "weights", Omran)
    assert trained.fixed == (camera == "fixed")
    assert trained.shapes == (10 if body == "smpl" else 11)
