"""Agreement with photos whose labels are drawn from known bodies: who knows the body gets full marks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel, BodyOutput
from nbf.data.labelled import JointLabels, LabelledPerson, LabelledPicture, LabelMap
from nbf.evaluate import metrics
from nbf.evaluate.real import _scored, evaluate_real, part_confusion
from nbf.geometry.camera import Camera
from nbf.geometry.crop import Crop
from nbf.known import Known
from nbf.predictor import Predictor
from nbf.proxy.proxy import Crops, Proxy
from nbf.raster.zbuffer import rasterize
from nbf.solve.fit import Fit, Method

WIDTH, HEIGHT = 120, 160


class Knows(Predictor):
    """A predictor that finds one known body in the middle of every photo, or `off` metres to its right."""

    def __init__(self, body: BodyModel, off: float = 0.0) -> None:
        self.body, self.body_name, self.off = body, "anny24", off
        self.method = Method(self.paint, self.answer)
        self.betas, self.rotations = torch.zeros(1, body.shape_count), torch.eye(3).repeat(1, 24, 1, 1)
        self.rotations[:, 0] = torch.diag(torch.tensor([1.0, -1, -1]))
        self.pelvis = torch.tensor([[0.0, 0.0, 3.0]])

    def posed(self) -> BodyOutput:
        return self.body(self.betas, self.rotations, self.pelvis - self.body.rest_joints(self.betas)[:, 0])

    def photo(self, folder: Path) -> LabelledPicture:
        camera, posed = Camera.default(WIDTH, HEIGHT), self.posed()
        fragments = rasterize(camera.pixels_depth(posed.vertices), self.body.faces, HEIGHT, WIDTH)
        self.parts = torch.where(fragments.mask, self.body.face_parts[fragments.face.clamp(min=0)], 0)[0]
        Image.fromarray((self.parts * 8).byte().numpy()).save(folder / "made_up.jpg")
        keypoints = camera.project(self.body.keypoints(posed, "coco17"))[0]
        pixels = camera.project(posed.vertices)[0]
        self.box = torch.cat([pixels.amin(0), pixels.amax(0)])
        person = LabelledPerson(self.box.numpy(), JointLabels("coco17", keypoints.numpy(), np.ones(17)))
        labels = self.parts.byte().numpy()
        return LabelledPicture(
            "made/up", folder / "made_up.jpg", (person,), "val", maps=(LabelMap("parts24", lambda: labels),)
        )

    def locate(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.box[None], torch.ones(1)

    def paint(self, crops: Crops) -> Proxy:
        grid = torch.stack(torch.meshgrid(torch.arange(64), torch.arange(64), indexing="xy"), -1).reshape(1, -1, 2)
        # The cameras of the crops tell where in the picture they are.
        whole = Camera.default(WIDTH, HEIGHT)
        side = whole.focal / crops.camera.focal
        crop = Crop(whole.center + (0.5 - crops.camera.center) * side[:, None], side, 256)
        x, y = crop.to_image(grid * 4.0 + 2).floor().long().unbind(-1)
        inside = (x >= 0) & (y >= 0) & (x < WIDTH) & (y < HEIGHT)
        seen = self.parts[y.clamp(0, HEIGHT - 1), x.clamp(0, WIDTH - 1)] * inside
        parts = torch.nn.functional.one_hot(seen, 25).movedim(-1, 1).unflatten(-1, (64, 64)).float()
        return Proxy(crops.camera, parts, torch.zeros(1, 17, 3))

    def answer(self, proxy: Proxy, known: Known) -> Fit:
        bodies = Bodies(self.betas, self.rotations, self.pelvis + torch.tensor([self.off, 0.0, 0.0]))
        return Fit(bodies, joint_error=torch.zeros(1, 24), shape_covariance=torch.eye(self.body.shape_count)[None])


@pytest.mark.parametrize("off", [0.0, 0.3])
def test_who_knows_the_body_gets_full_marks(body: BodyModel, tmp_path: Path, off: float) -> None:
    knows = Knows(body, off)
    photo = knows.photo(tmp_path)
    scores, entries = evaluate_real(knows, [photo], keep=True)
    assert (scores["n"], scores["photos"]) == (1, 1)
    for name in ("found", "miou14", "f1_14"):
        assert scores[name] == 100, name
    right = scores["pck20_torso"], scores["silhouette_iou"]
    assert right == (100, 100) if off == 0 else right[0] == 0 and right[1] < 60
    (entry,) = entries
    assert "PCK 17/17" in entry.caption if off == 0 else "PCK 0/17" in entry.caption
    # The square around the person: the mesh, seen through the square's camera, fills it to its margin.
    pixels = entry.camera.project(entry.vertices)[0] - torch.tensor([off / 3 * float(entry.camera.focal), 0.0])
    assert (pixels.amax(0) - pixels.amin(0)).max().item() == pytest.approx(entry.picture.width / 1.2, rel=0.02)


def test_without_a_sheet_nothing_is_kept(body: BodyModel, tmp_path: Path) -> None:
    knows = Knows(body)
    assert evaluate_real(knows, [knows.photo(tmp_path)])[1] == []


def test_true_parts_score_full_marks():
    labels = torch.zeros(80, 60, dtype=torch.uint8)
    labels[10:70, 5:30], labels[10:70, 30:55] = 13, 23
    labels[40:44] = 25
    crops = Crop(torch.tensor([[30.0, 40.0]]), torch.tensor([100.0]), 256)
    x = (torch.arange(64) * 4 + 2) / 256 * 100 - 20
    y = (torch.arange(64) * 4 + 2) / 256 * 100 - 10
    inside = ((x >= 0) & (x < 60))[None] & ((y >= 0) & (y < 80))[:, None]
    seen = labels[y.long().clamp(0, 79)[:, None], x.long().clamp(0, 59)[None]].long() * inside
    parts = torch.nn.functional.one_hot(seen.clamp(max=24), 25).movedim(-1, 0)[None].float()
    matrix = part_confusion(parts, labels, crops)
    assert metrics.mean_iou(matrix) == 1
    assert matrix.sum() == (inside & (seen < 25)).sum()


def test_keypoints_need_a_trusted_yardstick():
    keypoints = torch.ones(2, 17, 3)
    keypoints[0, 5, 2] = 0
    keypoints[1, 3, 2] = 0
    scored = _scored(keypoints)
    assert not scored[0].any()
    assert scored[1].sum() == 16
