"""Draw examples/demo.jpg, the picture of `make demo`: two synthetic people in a plain room, free of anybody's rights.

python tools/make_demo.py        # needs the packs of tools/pack_training.py in runs/cache
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Generator

from nbf.body.files import load_body
from nbf.geometry.camera import Camera
from nbf.geometry.rotations import matrix_from_axis_angle
from nbf.synth.light import sample_lights
from nbf.synth.outfit import Closet
from nbf.synth.poses import PoseLibrary
from nbf.synth.scene import draw, look_at, pose_crowd, shade
from nbf.synth.wardrobe import Wardrobe

CACHE, OUT = Path("runs/cache"), Path("examples/demo.jpg")
SIDE, HEIGHT, WIDTH = 960, 960, 720
SEED = 2
EYE, FOCAL, HORIZON = 1.35, 1.2, 0.4  # camera height in metres; focal length and eye level in picture sides


def room(horizon: int) -> np.ndarray:
    """A wall and a floor, each a soft gradient."""
    rows = np.arange(SIDE)[:, None, None] / SIDE
    columns = np.arange(SIDE)[None, :, None] / SIDE
    wall = np.array([0.72, 0.74, 0.72]) - 0.12 * rows + 0.06 * columns
    floor = np.array([0.50, 0.43, 0.36]) + 0.18 * (rows - 0.75) + 0.04 * columns
    skirting = np.abs(np.arange(SIDE) - horizon)[:, None, None] < 7
    below = np.arange(SIDE)[:, None, None] > horizon
    return np.where(skirting, 0.85, np.where(below, floor, wall))


def main() -> None:
    """Draw and write the picture."""
    generator = Generator().manual_seed(SEED)
    body = load_body("anny24", "full")
    closet = Closet.build(body, Wardrobe.load(CACHE / "wardrobe.npz"), "train", "cpu", variants=0)
    info = body.shape_info.float()
    adults = ((info[:, 0] > 20) & (info[:, 0] < 50)).nonzero()[:, 0]
    people = torch.stack([adults[info[adults, 1] > 0.8][3], adults[info[adults, 1] < 0.2][8]])
    betas = body.shape_samples[people].float()
    rotations = PoseLibrary.load(CACHE / "poses.npz").sample(40, generator, "test")[[7, 22]]
    heading = matrix_from_axis_angle(torch.tensor([[0.0, 0.35, 0.0], [0.0, -0.5, 0.0]]))
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    rotations = torch.cat([(upright @ heading @ rotations[:, 0])[:, None], rotations[:, 1:]], 1)
    translation = torch.tensor([[-0.55, 0.0, 3.3], [0.5, 0.0, 3.7]])
    lowest = body(betas, rotations, translation).vertices[..., 1].amax(1)
    translation[:, 1] += EYE - lowest
    crowd = body(betas, rotations, translation)
    wearing, bare = closet.dress(info[people, 1], generator, painted=0.0)
    paint = closet.paint(bare, generator)
    focal, center = torch.tensor([FOCAL * SIDE * 2]), torch.tensor([[SIDE * 1.0, 2 * HORIZON * SIDE]])
    image = torch.zeros(2, dtype=torch.int64)
    soup = look_at(pose_crowd(wearing, betas, crowd), image, focal, center, 2 * SIDE)
    fragments = draw(soup, 1, 2 * SIDE, paint.textures)
    colors = shade(soup, fragments, Camera(focal, center), paint, sample_lights(1, generator), torch.tensor([0.05]))[
        0
    ].numpy()
    mask = fragments.mask[0].float().numpy()

    def small(values: np.ndarray) -> np.ndarray:
        return values.reshape(SIDE, 2, SIDE, 2, -1).mean((1, 3))

    cover = small(mask[..., None])
    background = room(horizon=int(HORIZON * SIDE + FOCAL * SIDE * EYE / 6.5))
    shadow = np.zeros((SIDE, SIDE))
    for x, z in translation[:, [0, 2]].tolist():
        u, v = SIDE / 2 + FOCAL * SIDE * x / z, HORIZON * SIDE + FOCAL * SIDE * EYE / z
        grid_y, grid_x = np.mgrid[:SIDE, :SIDE]
        shadow += np.exp(-(((grid_x - u) / 95) ** 2 + ((grid_y - v) / 20) ** 2))
    picture = background * (1 - 0.55 * np.clip(shadow, 0, 1)[..., None]) * (1 - cover) + small(colors * mask[..., None])
    left = (SIDE - WIDTH) // 2
    image = Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8)[:HEIGHT, left : left + WIDTH])
    OUT.parent.mkdir(exist_ok=True)
    image.filter(ImageFilter.GaussianBlur(0.6)).save(OUT, quality=90)


if __name__ == "__main__":
    main()
