"""People of data sets as samples: labels lie where the picture shows them, whatever the data set knows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from packs import random_pack, small
from PIL import Image
from scipy.io import savemat
from unit.data.sets.test_lsp import write_pictures

from nbf.body.joints import SMPL24
from nbf.body.model import BodyModel
from nbf.cli import main
from nbf.data.bodies import SetBodies
from nbf.data.labelled import BodyLabel, JointLabels, LabelledPerson, LabelledPicture, Lazy, LensCamera
from nbf.data.placed import in_camera
from nbf.errors import DataError
from nbf.geometry import Camera, axis_angle_from_matrix, crop_camera_from_translation
from nbf.nets.mean_body import FitterOutput, MeanBody
from nbf.nets.segmenter import Segmenter
from nbf.nets.weights import load_kind
from nbf.networks import Networks
from nbf.raster.zbuffer import rasterize
from nbf.train.batch import BODY_LABELS, Batch
from nbf.train.body_task import BodyTask, true_joints
from nbf.train.drawing import draw_labelled
from nbf.train.labelled import LabelledCrops, Needs, SetsConfig, open_sets
from nbf.train.packs import expand, save_pack
from nbf.train.people import mirror_people
from nbf.train.pictures import labelled_source
from nbf.train.segmenter import labelled_crops

WIDTH, HEIGHT = 320, 240
LENS = LensCamera(np.array([300.0, 300.0]), np.array([150.0, 130.0]))


def label(turned: bool = False) -> BodyLabel:
    """Somebody with one arm up, before a camera that may have been turned in the world."""
    pose = np.zeros((24, 3), np.float32)
    pose[0] = [np.pi, 0, 0]
    pose[SMPL24.index("left_shoulder"), 2] = 1.2
    world = np.eye(3, 4)
    if turned:
        world = np.array([[0.0, 0, -1, 3.1], [0, 1, 0, 0.1], [1, 0, 0, 3.0]])
    return BodyLabel("anny24", "neutral", np.zeros(11, np.float32), pose, np.array([0.1, 0.05, 3], np.float32), world)


def photo(folder: Path, body: BodyModel, person: BodyLabel, *, known: bool) -> LabelledPicture:
    """A picture in which the person is white, with the body or with joints as labels."""
    placed = in_camera(person, body)
    posed = body(*(value[None] for value in placed))
    camera = LENS.pinhole()
    seen = rasterize(camera.pixels_depth(posed.vertices), body.faces, HEIGHT, WIDTH).mask[0].numpy()
    path = folder / "a.png"
    Image.fromarray(np.repeat(seen[..., None] * np.uint8(255), 3, -1)).save(path)
    ys, xs = np.nonzero(seen)
    box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32)
    joints = posed.joints[0].numpy()
    ones = np.ones(24, np.float32)
    pixels = JointLabels("smpl24", camera.project(posed.joints)[0].numpy(), ones)
    who = LabelledPerson(box, pixels, JointLabels("smpl24", joints, ones))
    if known:
        who = LabelledPerson(box, body=person)
    return LabelledPicture("a", path, (LabelledPerson(ignore=True), who), camera=LENS)


def crops(tmp_path: Path, *, known: bool = True, turned: bool = False, needs: Needs = "map") -> LabelledCrops:
    picture = photo(tmp_path, small(), label(turned), known=known)
    return LabelledCrops(Lazy(5, lambda _: picture), small(), needs=needs)


def both_ways(tmp_path: Path, known: bool) -> Batch:
    """The same three crops, with bodies or with joints as labels."""
    return crops(tmp_path, known=known, needs="joints").sample(3, 128, torch.Generator().manual_seed(0))


def drawn(batch: Batch) -> torch.Tensor:
    """Silhouettes of a batch's bodies in its crops, 64 px."""
    posed = small()(batch["betas"], batch["rotations"], batch["translation"])
    camera = Camera(batch["focal"], batch["center"]).scaled(0.25)
    return rasterize(camera.pixels_depth(posed.vertices), small().faces, 64, 64).mask


def overlap(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one & other).sum((1, 2)) / (one | other).sum((1, 2))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_bodies_and_parts_lie_on_the_people(tmp_path: Path, turned: bool, mirrored: bool) -> None:
    batch = crops(tmp_path, turned=turned).sample(4, 256, torch.Generator().manual_seed(0))
    batch = mirror_people(batch, torch.full((4,), mirrored))
    shown = torch.nn.functional.avg_pool2d(batch["image"].float() / 255, 4)[:, 0] > 0.5
    parts = expand(batch["parts"])
    assert overlap(drawn(batch), shown).min() > 0.9
    assert overlap(parts[:, 0] < 0.5, shown).min() > 0.9
    surface = batch["surface"].float().amax(1) > 0
    assert overlap(surface, shown).min() > 0.9
    assert batch["has_body"].all()
    assert not batch["labelled_2d"][..., 2].any()


def test_one_person_is_in_crops_of_many_sizes(tmp_path: Path) -> None:
    batch = crops(tmp_path).sample(12, 128, torch.Generator().manual_seed(1))
    assert batch["focal"].max() > 1.2 * batch["focal"].min()
    assert batch["image"].shape == (12, 3, 128, 128)


@pytest.mark.parametrize("mirrored", [False, True])
def test_joints_stand_in_for_bodies(tmp_path: Path, mirrored: bool) -> None:
    """What the labels of joints say is what the body says that they were read off."""
    rows = (both_ways(tmp_path, known) for known in (True, False))
    bodies, joints = (mirror_people(batch, torch.full((3,), mirrored)) for batch in rows)
    assert not joints["has_body"].any()
    true = true_joints(small(), bodies)
    pixels = Camera(bodies["focal"], bodies["center"]).project(true)
    inside = joints["labelled_2d"][..., 2] > 0
    limbs = torch.tensor([not name.startswith("spine") for name in SMPL24])
    assert inside[:, limbs].float().mean() > 0.8
    torch.testing.assert_close(joints["labelled_2d"][..., :2][inside], pixels[inside], atol=0.01, rtol=0)
    hips = true[:, 1:3].mean(1, keepdim=True)
    torch.testing.assert_close(joints["labelled_3d"][..., :3], true - hips, atol=1e-4, rtol=0)


def test_a_perfect_answer_costs_nothing_by_joints_alone(tmp_path: Path) -> None:
    """The losses of labelled joints see a body as those of bodies do, and gradients reach all of it."""
    known, joints = (both_ways(tmp_path, known) for known in (True, False))
    camera = Camera(known["focal"], known["center"])
    scale, offset = crop_camera_from_translation(true_joints(small(), known)[:, 0], camera, 256)
    answer = FitterOutput(known["betas"].requires_grad_(), known["rotations"].requires_grad_(), scale, offset)
    network = MeanBody(11)
    task = BodyTask(network, lambda batch: (), small())
    named = task.losses(lambda: answer, joints)
    assert set(named) == {*vars(task.weights), "labelled_projection", "labelled_joints"}
    for name, loss in named.items():
        assert float(loss.detach()) == pytest.approx(0, abs=2e-4), name
    off = answer._replace(rotations=torch.eye(3).repeat(3, 24, 1, 1).requires_grad_())
    wrong = task.losses(lambda: off, joints)
    assert float(wrong["labelled_projection"].detach()) > 0.05
    assert float(wrong["labelled_joints"].detach()) > 0.05
    assert all(float(wrong[name].detach()) == 0 for name in vars(task.weights))
    torch.stack(list(wrong.values())).sum().backward()
    assert off.rotations.grad is not None
    assert off.rotations.grad.isfinite().all()


def test_a_file_of_bodies_is_believed_before_the_labels(tmp_path: Path) -> None:
    picture = photo(tmp_path, small(), label(), known=False)
    placed = in_camera(label(), small())
    file = SetBodies(
        "lsp",
        "anny24",
        np.array(["a"]),
        np.array([1]),
        placed.betas[None].numpy(),
        axis_angle_from_matrix(placed.rotations)[None].numpy(),
        placed.translation[None].numpy(),
        np.zeros(1, np.float32),
        np.ones(1, bool),
    )
    file.save(tmp_path / "bodies.npz")
    loaded = SetBodies.load(tmp_path / "bodies.npz")
    batch = LabelledCrops(Lazy(1, lambda _: picture), small(), loaded).sample(2, 128, torch.Generator().manual_seed(0))
    assert batch["has_body"].all()
    torch.testing.assert_close(batch["translation"], placed.translation.expand(2, 3))


def test_without_maps_nobody_is_of_use_to_who_reads_maps(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="of no use"):
        crops(tmp_path, known=False, needs="map").sample(1, 128, torch.Generator().manual_seed(0))


def test_broken_pictures_are_left_out(tmp_path: Path) -> None:
    good = photo(tmp_path, small(), label(), known=True)
    bad = LabelledPicture("bad", tmp_path / "missing.png", good.people, camera=LENS)
    mixed = LabelledCrops([bad, good, bad], small())
    assert mixed.sample(6, 128, torch.Generator().manual_seed(0))["has_body"].all()
    with pytest.raises(DataError, match=r"missing\.png"):
        LabelledCrops([bad], small()).sample(1, 128, torch.Generator().manual_seed(0))


def test_the_same_step_gives_the_same_batch(tmp_path: Path) -> None:
    source = labelled_source([(crops(tmp_path), 3)], 0, torch.device("cpu"))
    one, other = next(source(7)), next(source(7))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["image"], next(source(8))["image"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("lspet:{}@0.6", "lspet:{}@0.6"), "sum to one"),
        (("lspet:{}@0",), "above 0"),
        (("nothing:{}",), "NAME:FOLDER"),
    ],
)
def test_impossible_sets_are_refused(tmp_path: Path, texts: tuple[str, ...], message: str) -> None:
    write_lspet(tmp_path)
    with pytest.raises(DataError, match=message):
        open_sets(SetsConfig(tuple(text.format(tmp_path) for text in texts)), 8, small())


def write_lspet(folder: Path) -> None:
    write_pictures(folder, [f"im{number:05}.jpg" for number in range(1, 4)])
    joints = np.random.default_rng(0).uniform(5, 28, (14, 3, 3))
    savemat(folder / "joints.mat", {"joints": joints})


def test_a_baseline_learns_from_a_set_beside_drawn_people(tmp_path: Path) -> None:
    """LSP knows joints alone, which is enough for who looks at pictures."""
    write_lspet(tmp_path / "lspet")
    pack = random_pack(4, 0, seen=False)
    pack |= {"image": torch.randint(256, (4, 3, 128, 128)).byte(), "surface": torch.randint(256, (4, 3, 64, 64)).byte()}
    save_pack(pack, tmp_path / "people" / "0.npz")
    command = ["train", "hmr", "--loop.steps", "2", "--loop.runs", str(tmp_path), "--loop.name", "run"]
    command += ["--data.people", str(tmp_path / "people"), "--data.test", str(tmp_path / "people")]
    command += ["--data.batch", "4", "--data.validation", "2", "--data.sets", f"lspet:{tmp_path / 'lspet'}@0.5"]
    assert main(command) == 0
    assert Networks.load(tmp_path / "run").hmr.joint_error.isfinite().all()


def test_a_segmenter_sees_people_of_sets(tmp_path: Path) -> None:
    """Their maps are right, their surfaces too, and nothing is known where only joints are labelled."""
    whole = labelled_crops([(crops(tmp_path), 2)], torch.Generator().manual_seed(0), torch.device("cpu"))
    shown = torch.nn.functional.avg_pool2d(whole["image"], 4)[:, 0] > 0.5
    assert overlap(whole["surface_mask"], shown).min() > 0.9
    assert not whole["ignore"].any()
    assert whole["image"].shape == (2, 3, 256, 256)
    joints = crops(tmp_path, known=False, needs="joints")
    partly = labelled_crops([(joints, 2)], torch.Generator().manual_seed(0), torch.device("cpu"))
    assert partly["ignore"].all()
    assert not partly["surface_mask"].any()
    assert (partly["keypoints"][..., 2] > 0).any(1).all()
    assert set(whole) == set(partly)


def test_a_fitter_sees_what_a_segmenter_makes_of_them(tmp_path: Path) -> None:
    segmenter, generator = load_kind("segmenter", Segmenter), torch.Generator().manual_seed(0)
    batch = draw_labelled([(crops(tmp_path, needs="body"), 2)], segmenter, torch.device("cpu"), generator)
    assert set(batch) == {"seen_parts", "seen_keypoints", *BODY_LABELS}
    assert overlap(drawn(batch), expand(batch["seen_parts"])[:, 0] < 0.5).min() > 0.3
