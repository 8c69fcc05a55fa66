"""The field's protocols on people of whom the answer is known: numbers, alignments, frames and the traps of published
code."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from packs import small
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.joints import SMPL24
from nbf.body.model import BodyOutput
from nbf.body.parts import NAMES, merge_labels
from nbf.data.catalogue import SETS
from nbf.data.joint_orders import ORDERS
from nbf.data.labelled import IGNORE, BodyLabel, Frame, JointLabels, LabelledPerson, LabelledPicture, LabelMap
from nbf.data.placed import in_camera
from nbf.data.sets.up_lsp import LSP6
from nbf.errors import DataError
from nbf.evaluate.field import Posed, Truths, measure
from nbf.evaluate.model_joints import OURS, Ours, Regressor
from nbf.evaluate.published import PROTOCOLS, Protocol, protocol
from nbf.geometry import Camera
from nbf.raster.zbuffer import rasterize

BOX = np.array([10, 20, 60, 120], np.float32)
CAMERA = Camera(torch.tensor(500.0), torch.tensor([160.0, 120.0]))


def label(seed: int = 0) -> BodyLabel:
    random = np.random.default_rng(seed)
    pose = random.normal(0, 0.3, (24, 3)).astype(np.float32)
    pose[0] = [np.pi, 0, 0]
    return BodyLabel(
        "anny24", "neutral", random.normal(0, 1, 11).astype(np.float32), pose, np.array([0.1, 0.2, 4], np.float32)
    )


def posed(body: BodyLabel) -> Posed:
    placed = in_camera(body, small())
    return Posed(small(), small()(*(value[None] for value in placed)), placed.rotations, CAMERA)


def joints(body: BodyLabel, order: str) -> JointLabels:
    """What our own reading of the body gives, so that a perfect answer costs nothing."""
    each = posed(body)
    points, weights = Ours()(each.body, each.output, ORDERS[order])
    return JointLabels(order, points[0].double().numpy(), weights.numpy())


def picture(person: LabelledPerson, frame: Frame | None = None, name: str = "a") -> LabelledPicture:
    return LabelledPicture(name, Path("none.png"), (person,), frame=frame)


def answer(change: Callable[[BodyOutput], BodyOutput] | None = None) -> Callable[..., Sequence[Posed]]:
    """The labelled bodies themselves, changed."""

    def find(picture: LabelledPicture, boxes: Float[Tensor, "n 4"]) -> Sequence[Posed]:
        found = [posed(person.body or label()) for person in picture.people if not person.ignore]
        assert len(boxes) == len(found)
        return found if change is None else [replace(each, output=change(each.output)) for each in found]

    return find


def shifted(by: Tensor) -> Callable[[BodyOutput], BodyOutput]:
    def change(output: BodyOutput) -> BodyOutput:
        return BodyOutput(output.vertices + by, output.joints + by, output.transforms)

    return change


def wrong_wrist(output: BodyOutput) -> BodyOutput:
    """30 mm off in the left wrist and in nothing else."""
    moved = output.joints.clone()
    moved[:, SMPL24.index("left_wrist"), 0] += 0.03
    return BodyOutput(output.vertices, moved, output.transforms)


def person(order: str = "common14", seed: int = 0) -> LabelledPerson:
    return LabelledPerson(BOX, joints_3d=joints(label(seed), order), body=label(seed))


H36M = Frame("S9_Posing_1.60457274", 0, "S9", "Posing", 1, "60457274")


@pytest.mark.parametrize(
    "name", [name for name in PROTOCOLS if "pck" not in name and "up3d" not in name and "lsp" not in name]
)
def test_a_perfect_answer_scores_nothing(name: str) -> None:
    """Wherever it stands; with the orders that data sets give."""
    chosen = protocol(name)
    frame = Frame("x", 5, "S1", "Box", 1, "C1") if name == "humaneva" else H36M
    of_sets = {"humaneva": "humaneva15", "3dhp": "mpi_inf_3dhp17"}
    order = of_sets.get(name, "smpl24" if "smpl_pelvis" in chosen.joints else "spin24")
    truths = Truths({("anny24", "neutral"): small()})
    report = measure(chosen, chosen.pictures([picture(person(order), frame)]), answer(shifted(torch.ones(3))), truths)
    for score in chosen.scores:
        # At a threshold of 0, the first of auc's, rounding counts as wrong.
        perfect = {"pck": 100, "auc": 100 * (1 - 1 / (chosen.auc / 5 + 1))}.get(score, 0)
        value = report.get(f"{score}_mean_mm", report.get(f"{score}_percent", report.get(f"{score}_deg")))
        assert value == pytest.approx(perfect, abs={"mpjae": 0.02, "auc": 3.3}.get(score, 1e-3)), score
    assert report["people"] == 1


def test_a_wrong_wrist_is_a_fourteenth_of_its_error() -> None:
    chosen = protocol("hmr-p1")
    report = measure(chosen, chosen.pictures([picture(person(), H36M)]), answer(wrong_wrist), Truths())
    assert report["mpjpe_mean_mm"] == pytest.approx(30 / 14, abs=1e-4)
    assert 0 < report["pa_mpjpe_mean_mm"] < 10
    assert report["per_action"]["Posing"]["mpjpe_mean_mm"] == report["mpjpe_mean_mm"]


def test_numbers_are_exact() -> None:
    """Against numpy's own arithmetic in float64: MPJPE about the hips, and Procrustes by another route."""
    chosen = protocol("hmr-p1")
    people = [person(seed=seed) for seed in range(3)]
    found = [posed(label(seed + 10)) for seed in range(3)]
    rows = [picture(who, replace(H36M, index=5 * i), f"p{i}") for i, who in enumerate(people)]
    report = measure(chosen, chosen.pictures(rows), lambda picture, boxes: [found[int(picture.name[1])]], Truths())
    apart, aligned = [], []
    for who, each in zip(people, found):
        assert who.joints_3d is not None
        true = who.joints_3d.points
        seen = Ours()(each.body, each.output, ORDERS["common14"])[0][0].double().numpy()
        apart.append(np.linalg.norm(seen - seen[[2, 3]].mean(0) - true + true[[2, 3]].mean(0), axis=1).mean())
        x, y = seen - seen.mean(0), true - true.mean(0)
        u, s, vt = np.linalg.svd(x.T @ y)
        s[2] *= (sign := np.sign(np.linalg.det(u @ vt)))
        u[:, 2] *= sign
        aligned.append(np.linalg.norm(s.sum() / (x**2).sum() * x @ u @ vt - y, axis=1).mean())
    assert report["mpjpe_mean_mm"] == pytest.approx(1000 * np.mean(apart), abs=1e-6)
    assert report["pa_mpjpe_mean_mm"] == pytest.approx(1000 * np.mean(aligned), abs=1e-6)
    assert report["pa_mpjpe_median_mm"] == pytest.approx(1000 * np.median(aligned), abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_three_people_are_not_one_of_three_coordinates(count: int) -> None:
    """A widely copied Procrustes took a batch of 2 or 3 for one person's coordinates."""
    chosen = protocol("hmr-p1")
    rows = [picture(person(seed=i), replace(H36M, index=5 * i), str(i)) for i in range(count)]
    found = {str(i): posed(label(i + 10)) for i in range(count)}
    together = measure(chosen, rows, lambda picture, boxes: [found[picture.name]], Truths())
    each = [measure(chosen, [row], lambda picture, boxes: [found[picture.name]], Truths()) for row in rows]
    assert together["pa_mpjpe_mean_mm"] == pytest.approx(sum(one["pa_mpjpe_mean_mm"] for one in each) / count, abs=1e-6)


def test_a_reflection_is_no_alignment() -> None:
    chosen = protocol("hmr-p1")

    def mirrored(output: BodyOutput) -> BodyOutput:
        flip = torch.tensor([-1.0, 1, 1])
        return BodyOutput(output.vertices * flip, output.joints * flip, output.transforms)

    report = measure(chosen, [picture(person(), H36M)], answer(mirrored), Truths())
    assert report["pa_mpjpe_mean_mm"] > 50


def test_the_fourteenth_joint_is_the_head_of_human36m() -> None:
    """LSP's head top, where both are labelled, does not stand in for it."""
    labels = joints(label(), "spin24")
    points = labels.points.copy()
    points[ORDERS["spin24"].index("head_top")] += 1
    off = LabelledPerson(BOX, joints_3d=JointLabels("spin24", points, labels.weight), body=label())
    assert measure(protocol("hmr-p1"), [picture(off, H36M)], answer(), Truths())["mpjpe_mean_mm"] < 1e-3
    points[ORDERS["spin24"].index("head"), 1] += 0.14
    off = replace(off, joints_3d=JointLabels("spin24", points, labels.weight))
    report = measure(protocol("hmr-p1"), [picture(off, H36M)], answer(), Truths())
    assert report["mpjpe_mean_mm"] == pytest.approx(10, abs=1e-3)


FRAMES = [
    Frame(f"{subject}_{action}_{trial}.{camera}", index, subject, action, trial, camera)
    for subject in ("S1", "S9", "S11")
    for action in ("Box", "Walking")
    for trial in (1, 2)
    for camera in ("54138969", "60457274", "C1")
    for index in (0, 1, 5, 64, 400)
]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # Subjects, actions, trials, cameras, frames.
        ("hmr-p1", 2 * 2 * 2 * 3 * 3),
        ("hmr-p2", 2 * 2 * 1 * 1 * 3),
        ("nbf-h36m", 2 * 2 * 2 * 1 * 3),
        ("spin-p2", 2 * 2 * 2 * 1 * 3),
        ("skeleton-17", 2 * 2 * 2 * 3 * 5),
        ("skeleton-17-64", 2 * 2 * 2 * 3 * 2),
        # From the sixth to the 385th and the 590th picture.
        ("humaneva", 2 + 3),
    ],
)
def test_frames_are_chosen(name: str, count: int) -> None:
    rows = [picture(LabelledPerson(BOX), frame) for frame in FRAMES]
    assert len(list(protocol(name).pictures(rows))) == count


def test_means_are_of_people_and_of_actions() -> None:
    """Three pictures of one action and one of another."""
    chosen = protocol("hmr-p1")
    rows = [picture(person(), replace(H36M, index=i, action="Box" if i < 3 else "Walking"), str(i)) for i in range(4)]
    right = posed(label())
    wrong = replace(right, output=wrong_wrist(right.output))
    found = {"0": right, "1": right, "2": right, "3": wrong}
    report = measure(chosen, rows, lambda picture, boxes: [found[picture.name]], Truths())
    assert report["mpjpe_mean_mm"] == pytest.approx(30 / 14 / 4, abs=1e-4)
    assert report["over_actions"]["mpjpe_mean_mm"] == pytest.approx(30 / 14 / 2, abs=0.01)
    assert report["per_action"]["Box"]["people"] == 3


def test_what_cannot_be_measured_is_left_out_and_counted() -> None:
    chosen = protocol("hmr-p1")
    nothing = picture(LabelledPerson(BOX), H36M, "nothing")
    report = measure(chosen, [picture(person(), H36M), nothing], answer(), Truths())
    assert (report["people"], report["left_out"], report["pictures"]) == (1, 1, 2)
    with pytest.raises(DataError, match="nobody could be measured"):
        measure(chosen, [nothing], answer(), Truths())
    with pytest.raises(DataError, match="take and frame"):
        list(chosen.pictures([picture(person())]))


def test_methods_see_the_protocols_crop() -> None:
    """SPIN's squares are 0.9 times a labelled rectangle, in crops that add a fifth."""
    boxes: list[Tensor] = []

    def find(picture: LabelledPicture, given: Float[Tensor, "n 4"]) -> Sequence[Posed]:
        boxes.append(given)
        return answer()(picture, given)

    for name in ("hmr-p1", "spin-p1"):
        measure(protocol(name), [picture(person("spin24"), H36M)], find, Truths())
    x0, y0, x1, y1 = BOX.tolist()
    middle, half = torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2]), (y1 - y0) / 2
    for box, side in zip(boxes, (1.0, 0.75)):
        torch.testing.assert_close(box[0], torch.cat([middle - half * side, middle + half * side]))


def test_a_regressor_is_17_rows_of_numbers(tmp_path: Path) -> None:
    path, matrix = tmp_path / "J_regressor_h36m.npy", np.random.default_rng(0).random((17, 6))
    np.save(path, matrix)
    torch.testing.assert_close(Regressor.load(path).matrix, torch.from_numpy(matrix).float())
    for wrong in (matrix[:16], matrix[0], np.full((17, 6), np.nan), np.full((17, 6), "a"), np.array([{}], object)):
        np.save(path, wrong)
        with pytest.raises(DataError, match="J_regressor_h36m"):
            Regressor.load(path)
    with pytest.raises(DataError, match="no such file"):
        Regressor.load(tmp_path / "none.npy")


def test_joints_come_from_meshes_by_the_regressor_that_is_given() -> None:
    chosen, matrix = protocol("3dpw-14"), torch.rand(17, len(small().template))
    matrix = matrix / matrix.sum(1, keepdim=True)
    truths = Truths({("anny24", "neutral"): small()}, Regressor(matrix))
    who = LabelledPerson(BOX, body=label())
    report = measure(chosen, [picture(who)], answer(), truths)
    ours = posed(label())
    wanted = (*chosen.joints, "pelvis")
    true = Regressor(matrix)(ours.body, ours.output, wanted)[0][0].double()
    seen = Ours()(ours.body, ours.output, wanted)[0][0].double()
    expected = 1000 * (seen[:14] - seen[14] - true[:14] + true[14]).norm(dim=-1).mean()
    assert report["mpjpe_mean_mm"] == pytest.approx(float(expected), abs=1e-3)
    assert report["pve_mean_mm"] == 0
    assert "J_regressor_h36m" in report["joints"]


def test_surfaces_of_two_models_are_compared_where_they_are_mapped() -> None:
    full = load_body("anny24", "full")
    truths = Truths({("anny24", "neutral"): full})
    report = measure(protocol("up3d-pve"), [picture(LabelledPerson(BOX, body=label()))], answer(), truths)
    assert 0 < report["pve_mean_mm"] < 3


def planar(name: str, off: float, head: float | None) -> dict:
    chosen = protocol(name)
    kind = "lsp14" if name == "pckh" else "coco17"
    each = posed(label())
    points = CAMERA.project(small().keypoints(each.output, kind))[0].double().numpy().copy()
    points[0, 0] += off
    who = LabelledPerson(BOX, joints_2d=JointLabels(kind, points, np.ones(len(points))), body=label(), head=head)
    return measure(chosen, [picture(who)], answer(), Truths())


@pytest.mark.parametrize(("off", "head", "right"), [(0, None, 14), (9.9, 20, 14), (10.1, 20, 13), (500, None, 13)])
def test_pckh_is_half_a_head(off: float, head: float | None, right: int) -> None:
    assert planar("pckh", off, head)["pckh_percent"] == pytest.approx(100 * right / 14, abs=1e-3)


def test_pck_is_a_fifth_of_the_torso() -> None:
    assert planar("coco-pck", 0, None)["pck_torso_percent"] == 100
    assert planar("coco-pck", 500, None)["pck_torso_percent"] == pytest.approx(100 * 16 / 17, abs=1e-3)


def outlined(shift: int) -> dict:
    """The labelled body drawn as a mask and six parts, and the same body found `shift` pixels to the right."""
    each = posed(label())
    seen = rasterize(CAMERA.pixels_depth(each.output.vertices), small().faces, 240, 320)
    parts = torch.where(seen.mask, small().face_parts[seen.face.clamp(min=0)], 0)[0]
    six = torch.tensor([LSP6.index(name) for name in NAMES[6]])[merge_labels(parts, 6)]
    six[:20] = IGNORE
    maps = {"mask": (parts > 0).byte().numpy(), "lsp6": six.byte().numpy()}
    shown = tuple(LabelMap(scheme, lambda scheme=scheme: maps[scheme]) for scheme in maps)
    photo = replace(picture(LabelledPerson(BOX, body=label())), maps=shown)
    moved = replace(each, camera=Camera(CAMERA.focal, CAMERA.center + torch.tensor([float(shift), 0])))
    return measure(protocol("lsp-outlines"), [photo], lambda picture, boxes: [moved], Truths())


def test_outlines_are_pooled_pixels() -> None:
    right = outlined(0)
    assert right["silhouette_accuracy_percent"] == right["parts6_accuracy_percent"] == 100
    assert right["silhouette_f1"] == right["parts6_f1"] == 1
    assert outlined(5)["silhouette_f1"] < 0.99
    assert outlined(40)["parts6_f1"] < outlined(5)["parts6_f1"] < 0.9


def test_our_own_joints_are_means() -> None:
    assert all(sum(shares.values()) == pytest.approx(1) for shares in OURS.values())
    named = {name for each in PROTOCOLS.values() for name in (*each.joints, *each.root)}
    assert named <= OURS.keys()


def test_another_name_is_refused() -> None:
    with pytest.raises(DataError, match="hmr-p2"):
        protocol("hmr-p3")
    assert all(isinstance(each, Protocol) for each in PROTOCOLS.values())


def test_protocols_are_of_data_sets_that_are_read() -> None:
    for each in PROTOCOLS.values():
        for name, split in each.data.items():
            assert split in SETS[name].splits, each.name
