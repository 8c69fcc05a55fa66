"""Short films of dressed people who move before a camera that stands still: the benchmark's track *motion*."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor

from nbf.body.bodies import Bodies
from nbf.geometry.camera import Camera
from nbf.synth import light, view
from nbf.synth.degrade import blur
from nbf.synth.hall import Outlook, draw_hall
from nbf.synth.sampler import Sampler
from nbf.synth.scene import draw, look_at, pose_crowd, shade

_BLUR, _NOISE = 0.6, 0.008
"""Pixels and, of 1, the standard deviations of what a lens and a sensor do; the coding of the film does the rest."""


def draw_film(
    sampler: Sampler, outlook: Outlook, moves: Sequence[Bodies], info: Float[Tensor, "p k"], far: float
) -> Iterator[UInt8[Tensor, "3 h w"]]:
    """One frame after the other.

    Args:
        sampler: whose clothes people wear; its generator draws clothes, light and hall.
        outlook: the camera.
        moves: of each of p people, their body in each of t frames, camera frame.
        info: the people's rows of `BodyModel.shape_info`.
        far: metres to the wall.
    """
    generator = sampler.generator
    side, rows, columns = max(outlook.width, outlook.height), outlook.height, outlook.width
    camera = Camera(outlook.camera.focal[None], outlook.camera.center[None])
    wearing, bare = sampler.closet.dress(info[:, 1], generator)
    paint = sampler.closet.paint(bare, generator)
    lights, gloss = light.sample_lights(1, generator), view.uniform((1,), 0.0, 0.25, generator)
    together = torch.zeros(len(info), dtype=torch.int64)
    hall = int(torch.randint(1 << 62, (), generator=generator))
    for t in range(len(moves[0].betas)):
        now = [each[t : t + 1] for each in moves]
        bodies = Bodies(*(torch.cat([getattr(each, name) for each in now]) for name in vars(now[0])))
        crowd = bodies.posed(sampler.body)
        posed = pose_crowd(wearing, bodies.betas, crowd)
        soup = look_at(posed, together, camera.focal, camera.center, side)
        fragments = draw(soup, 1, side, paint.textures)
        shaded = shade(soup, fragments, camera, paint, lights, gloss).permute(0, 3, 1, 2)
        level = crowd.vertices @ outlook.cam_from_level
        # The same hall for every frame.
        behind = draw_hall(outlook, level, far, sampler.backgrounds, side, Generator().manual_seed(hall))
        scene = blur(torch.where(fragments.mask[:, None], shaded, behind), torch.tensor([_BLUR]))[0, :, :rows, :columns]
        grain = torch.randn(scene.shape, generator=generator) * _NOISE
        yield ((scene + grain).clamp(0, 1) * 255).round().byte()
