"""Time of the rasteriser: batches of the small body (or, where it is not there, an ellipsoid of as many faces).

python benchmarks/raster.py [--threads 2] [--batch 16] [--sizes 64 128 256] [--device cpu] [--detail small]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nbf.geometry import Camera
from nbf.raster import Fragments, interpolate, rasterize


def ellipsoid(rings: int = 30, sectors: int = 40) -> tuple[Tensor, Tensor]:
    """A closed person-sized ellipsoid, about 2 x rings x sectors faces, counter-clockwise seen from outside."""
    theta = np.linspace(0, np.pi, rings + 2)[1:-1]
    phi = np.arange(sectors) / sectors * 2 * np.pi
    ring = np.stack(
        [
            np.outer(np.sin(theta), np.sin(phi)),
            np.outer(np.cos(theta), np.ones(sectors)),
            np.outer(np.sin(theta), np.cos(phi)),
        ],
        axis=-1,
    )
    points = np.concatenate([ring.reshape(-1, 3), [[0, 1, 0], [0, -1, 0]]])
    south, north = len(points) - 1, len(points) - 2
    faces = []
    for s in range(sectors):
        t = (s + 1) % sectors
        faces.append((north, s, t))
        faces.append((south, (rings - 1) * sectors + t, (rings - 1) * sectors + s))
        for r in range(rings - 1):
            a, b, c, d = r * sectors + s, r * sectors + t, (r + 1) * sectors + s, (r + 1) * sectors + t
            faces += [(a, c, b), (b, c, d)]
    return torch.tensor(points * [0.25, 0.85, 0.15], dtype=torch.float32), torch.tensor(faces)


def mesh(detail: Literal["small", "full"]) -> tuple[Tensor, Tensor, str]:
    """Vertices (body frame), faces and name of the mesh to time."""
    try:
        from nbf.body.files import load_body

        body = load_body("anny24", detail)
        return body.template.float(), body.faces, f"anny24 {detail}"
    except Exception as error:  # the ellipsoid stands in where the body has not been baked
        print(f"no body ({error}): timing an ellipsoid")
        return *ellipsoid(), "ellipsoid"


def main() -> None:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--detail", choices=["small", "full"], default="small")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    vertices, faces, name = mesh(options.detail)
    vertices, faces = vertices.to(options.device), faces.to(options.device)
    # Turned about the vertical in even steps, standing 5 m away: the person spans 85 % of the picture's height.
    angles = torch.arange(options.batch, device=options.device) / options.batch * 2 * torch.pi
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    turn = torch.stack([cos, zero, sin, zero, zero - 1, zero, sin, zero, -cos], dim=-1).reshape(-1, 3, 3)
    height = vertices[:, 1].amax() - vertices[:, 1].amin()
    posed = (vertices - vertices.mean(dim=0)) @ turn.mT + torch.tensor([0.0, 0.0, 5.0], device=options.device)
    print(
        f"{name}: {len(vertices)} vertices, {len(faces)} faces, batch {options.batch}, {options.device}, "
        f"{options.threads} threads; median (least) ms an image"
    )
    for size in options.sizes:
        camera = Camera(torch.tensor(0.85 * size * 5.0 / float(height)), torch.tensor([size / 2, size / 2])).to(
            options.device
        )
        pixels_depth = camera.pixels_depth(posed)

        def raster(pixels_depth: Tensor = pixels_depth, size: int = size) -> object:
            return rasterize(pixels_depth, faces, size, size)

        fragments = rasterize(pixels_depth, faces, size, size)

        def attributes(fragments: Fragments = fragments) -> object:
            return interpolate(fragments, faces, posed)

        covered = float(fragments.mask.float().mean())
        line = f"{size:5d} px  covered {covered:5.1%}"
        for label, task in (("rasterize", raster), ("interpolate", attributes)):
            times = timed(task, options.repeats, options.device)
            per_image = [1000 * t / options.batch for t in times]
            line += f"  {label} {statistics.median(per_image):.2f} ({min(per_image):.2f})"
        print(line)


def timed(task: Callable[[], object], repeats: int, device: str) -> list[float]:
    """Seconds of each of `repeats` runs, after two to warm up."""
    times = []
    for k in range(repeats + 2):
        if device != "cpu":
            torch.cuda.synchronize()
        start = time.perf_counter()
        task()
        if device != "cpu":
            torch.cuda.synchronize()
        if k >= 2:
            times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
