"""Perturbed poses are found again from true surface correspondences: a small run of benchmarks/refine.py."""

import importlib.util
from pathlib import Path
from types import ModuleType

import torch

from nbf.body.files import load_body
from nbf.body.landmarks import Landmarks, place
from nbf.body.pose_prior import PosePrior
from nbf.solve.surface import Surface
from nbf.synth.poses import PoseLibrary

PEOPLE = 8


def benchmark() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "refine.py"
    spec = importlib.util.spec_from_file_location("refine_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@torch.no_grad()
def test_perturbed_poses_are_found_again(tmp_path: Path) -> None:
    bench, body, generator = benchmark(), load_body("anny24", "small"), torch.Generator().manual_seed(0)
    true, camera = bench.people(body, PoseLibrary.load(tmp_path / "none.npz"), PEOPLE, generator)
    start, joints = bench.turned(true, generator), Landmarks.keypoints(body, "smpl24")
    surface = Surface.spread(body, len(body.template))
    seen, _, _ = surface.seen_by(true, camera)
    places = camera.project(place(surface.landmarks, true, jacobian=False).points)
    found = bench.search(surface.landmarks, camera, places, seen, PosePrior.load(), bench.EXACT, start)
    before, after = bench.error(joints, start, true), bench.error(joints, found, true)
    assert float(before.min()) > 40
    assert float(after.max()) < bench.FOUND
    assert float(after.median()) < 2
