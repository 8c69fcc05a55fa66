"""The protocol with a fitter that knows the answer: every error must vanish."""

import pytest
import torch

from nbf.body.files import load_body
from nbf.evaluate.synthetic import evaluate_synthetic
from nbf.geometry.camera import Camera, crop_camera_from_translation
from nbf.nets.fitter import FitterOutput

RESOLUTION = 256


class Known:
    """Sampler, fitter and segmenter at once: two people whose parameters it hands out."""

    def __init__(self) -> None:
        self.body = load_body("anny24", "small")
        shapes = self.body.shape_count
        self.truth = {
            "betas": torch.randn(2, shapes, generator=torch.Generator().manual_seed(0)) * 0.5,
            "rotations": torch.diag(torch.tensor([1.0, -1, -1])).repeat(2, 24, 1, 1),
            "focal": torch.full((2,), 400.0),
            "center": torch.full((2, 2), 128.0),
            "parts": torch.nn.functional.one_hot(torch.randint(25, (2, 64, 64)), 25).movedim(-1, 1).float(),
            "ignore": torch.zeros(2, 64, 64, dtype=torch.bool),
            "image": torch.rand(2, 3, 256, 256),
        }
        self.truth["rotations"][:, 1:] = torch.eye(3)
        self.pelvis = torch.tensor([[0.1, 0.0, 4.0], [-0.2, 0.1, 5.0]])
        self.truth["translation"] = self.pelvis - self.body.rest_joints(self.truth["betas"])[:, 0]

    def sample(self, count: int) -> dict:
        return {name: value[:count] for name, value in self.truth.items()}

    def fit(self, proxy: torch.Tensor) -> FitterOutput:
        count = len(proxy)
        camera = Camera(self.truth["focal"][:count], self.truth["center"][:count])
        scale, offset = crop_camera_from_translation(self.pelvis[:count], camera, RESOLUTION)
        return FitterOutput(self.truth["betas"][:count], self.truth["rotations"][:count], scale, offset)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        return self.truth["parts"][: len(images)]


def test_the_truth_has_no_error():
    known = Known()
    scores = evaluate_synthetic(known.sample, known.body, known.fit, known.segment, 3, batch_size=2)
    assert scores["n"] == 3
    for name in ("pa_mpjpe_mean_mm", "pa_mpjpe_median_mm", "mpjpe_mean_mm", "pve_mean_mm", "rotation_deg", "height_cm"):
        assert scores[name] == pytest.approx(0, abs=0.1), name
    for name in ("pckh50", "miou", "miou14"):
        assert scores[name] == 100, name


def test_true_parts_need_no_segmenter():
    known = Known()
    scores = evaluate_synthetic(known.sample, known.body, known.fit, None, 2)
    assert "miou" not in scores
