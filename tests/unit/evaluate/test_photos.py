"""The ruler for photos: known findings have known scores, and the command line measures a folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.photos import joints, sportsman, standing, write_photo, write_photos
from torch import Tensor

from nbf.body.joints import COCO17, LIMB_JOINTS
from nbf.cli import evaluate
from nbf.data.human import HumanPhoto, Sightings
from nbf.data.labelled import JointLabels, LabelledPerson, LabelledPicture
from nbf.evaluate.photos import Findings, Ruler, trunk_length

BOX = torch.tensor([25.0, 10, 95, 152])
PLACES = torch.tensor(joints(LIMB_JOINTS))[:, :2]
FAR = torch.tensor([400.0, 0])


def people(*shifts: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes and joints of people moved about."""
    moved = torch.stack([torch.zeros(2), *shifts])[1:]
    return BOX + moved.repeat(1, 2), PLACES + moved[:, None]


def sightings(*shifts: Tensor, scores: tuple[float, ...] | None = None) -> Sightings:
    boxes, placed = people(*shifts)
    return Sightings(boxes, torch.tensor(scores or [0.9] * len(shifts)), placed)


def photo(*shifts: Tensor, teachers: Sightings | None = None) -> HumanPhoto:
    boxes, placed = people(*shifts)
    trunks = torch.zeros(len(shifts), 2, 3)  # neck and crown, which nobody labelled
    rows = torch.cat([torch.cat([placed, torch.ones(len(shifts), 12, 1)], -1), trunks], 1).numpy()
    labelled = (LabelledPerson(box.numpy(), JointLabels.of("lsp14", row)) for box, row in zip(boxes, rows))
    return HumanPhoto(LabelledPicture("coco/x", Path("x"), tuple(labelled)), teachers or sightings(*shifts))


def score(true: HumanPhoto, found: Sightings) -> dict:
    ruler = Ruler()
    ruler.add_coco(true, Findings(found, found))
    ruler.add_lspet(true, Findings(found, found))
    return ruler.report()


HERE = torch.zeros(2)


def test_who_finds_everything_gets_full_marks() -> None:
    report = score(photo(HERE, FAR), sightings(FAR, HERE))
    assert report["coco_people"] == report["coco_boxes"] == report["lspet_people"] == 2
    assert report["coco_missed"] == report["lspet_nobody"] == 0
    for name in ("lspet_pck20_trunk", "coco_pck20_trunk"):
        assert [report[f"{name}_{kind}"] for kind in ("mesh", "keypoints", "teachers")] == [100] * 3
    assert report["coco_recall"] == report["coco_precision"] == report["coco_precision_teachers"] == 100
    assert report["calibration_error"] == 10


def test_a_missed_person_counts_as_wrong() -> None:
    report = score(photo(HERE, FAR), sightings(HERE))
    assert report["coco_missed"] == report["lspet_missed"] == 1
    assert report["coco_pck20_trunk_mesh"] == report["coco_recall"] == 50
    assert report["coco_pck20_trunk_teachers"] == report["coco_precision"] == 100
    report = score(photo(HERE), sightings())
    assert report["lspet_nobody"] == 1
    assert report["coco_pck20_trunk_mesh"] == report["coco_recall"] == 0


def test_swapped_sides_count_as_wrong() -> None:
    found = sightings(HERE)
    other = {"left": "right", "right": "left"}
    sides = [name.split("_") for name in LIMB_JOINTS]
    found.joints[:] = found.joints[:, [LIMB_JOINTS.index(f"{other[side]}_{name}") for side, name in sides]]
    assert score(photo(HERE), found)["coco_pck20_trunk_mesh"] == 0


def test_joints_nobody_labelled_do_not_count() -> None:
    true, found = photo(HERE), sightings(HERE)
    wrist = LIMB_JOINTS.index("left_wrist")
    found.joints[0, wrist] += 100
    assert score(true, found)["coco_pck20_trunk_mesh"] == pytest.approx(100 * 11 / 12, abs=0.01)
    true.joints[0, wrist, 2] = 0
    assert score(true, found)["coco_pck20_trunk_mesh"] == 100


def _no_hip(true: HumanPhoto) -> None:
    true.joints[0, LIMB_JOINTS.index("left_hip"), 2] = 0


def _few_joints(true: HumanPhoto) -> None:
    for index, name in enumerate(LIMB_JOINTS):
        if not name.endswith(("shoulder", "hip", "left_elbow")):
            true.joints[0, index, 2] = 0


def _small(true: HumanPhoto) -> None:
    true.boxes[0, 1] = 75.0


@pytest.mark.parametrize("change", [_no_hip, _few_joints, _small])
def test_who_is_not_measured_by_joints(change: Callable[[HumanPhoto], None]) -> None:
    true = photo(HERE, FAR)
    change(true)
    assert score(true, sightings(HERE, FAR))["coco_people"] == 1


def test_teachers_may_know_better_than_the_labels() -> None:
    true = photo(HERE, teachers=sightings(HERE, FAR, scores=(0.8, 0.3)))
    report = score(true, sightings(HERE, FAR))
    assert report["coco_precision"] == report["coco_precision_teachers"] == 50
    assert report["coco_precision_forgiving"] == 100
    unsure = photo(HERE, teachers=sightings(HERE, FAR, scores=(0.8, 0.05)))
    report = score(unsure, sightings(HERE, FAR))
    assert report["coco_precision_forgiving"] == 50
    assert report["coco_precision_teachers"] == 100


def test_somebody_in_an_empty_picture_is_false() -> None:
    ruler = Ruler()
    ruler.add_coco(photo(HERE), Findings(sightings(HERE), sightings(HERE)))
    for found in (sightings(), sightings(HERE, FAR), sightings(), sightings()):
        ruler.add_empty(Findings(found, found))
    report = ruler.report()
    assert (report["empty_photos"], report["empty_false"]) == (4, 25)


def test_the_trunk_is_as_long_as_its_sides() -> None:
    torch.testing.assert_close(trunk_length(PLACES[None]), torch.tensor([(7.0**2 + 45**2) ** 0.5]))


def test_the_command_line_measures_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"box": BOX.tolist(), "coco17": [[x, y, 2] for x, y, _ in joints(COCO17)]}
    lines = [
        write_photo(tmp_path, "lspet/a", [sportsman()], "val"),
        write_photo(tmp_path, "lspet/b", [sportsman()], "val"),
        write_photo(tmp_path, "coco/c", [standing()], "val", human=[seen]),
    ]
    monkeypatch.setenv("NBF_SHARED", str(write_photos(tmp_path, lines, tuple(f"thing_{i}" for i in range(12)))))
    scores, sheet = tmp_path / "scores.json", tmp_path / "sheet.png"
    assert evaluate.main(["--data", "photos", "--n", "1", "--json", str(scores), "--sheet", str(sheet)]) == 0
    report = json.loads(scores.read_text())
    assert (report["data"], report["lspet_people"], report["coco_people"], report["empty_photos"]) == (
        "photos",
        1,
        1,
        1,
    )
    assert report["lspet_pck20_trunk_teachers"] == 100
    assert report["lspet_pck20_trunk_mesh"] == 0, "there is nobody in a grey picture"
    assert Image.open(sheet).width > 700
