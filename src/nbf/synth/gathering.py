"""Whole pictures of dressed people who stand on one floor and hide each other: the benchmark's track *crowd*."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Generator, Tensor

from nbf.body.bodies import Bodies
from nbf.body.measure import height, mass
from nbf.body.model import BodyModel, BodyOutput
from nbf.geometry.camera import Camera
from nbf.raster.zbuffer import Fragments
from nbf.synth import degrade, light, view
from nbf.synth.hall import ABOVE, LENS, SIZES, Outlook, draw_hall
from nbf.synth.sampler import Sampler
from nbf.synth.scene import Soup, draw, look_at, pose_crowd, shade

PEOPLE = (2, 8)
"""In a picture, uniform."""
APART = 0.08
"""Metres from the vertices of anybody's small mesh to those of anybody else's, at least: nobody touches anybody."""
NEAREST = 0.7
"""Metres from the camera to anybody's skin, at least."""
YOUNGEST = 2.0
"""Years: who is younger stands badly."""
JOINT_RADIUS = 0.07
"""Metres about a joint of an adult (1.7 m) within which the picture shows it or not."""
# Heights in the picture, in picture heights, of an adult who stands nearest: log-uniform; above 1 they are cut off.
_SIZE = (0.45, 1.5)
# How many times as far away as the nearest place the farthest one is: log-uniform.
_DEPTH = (1.3, 3.0)
_BEHIND = 0.5  # probability of standing before or behind somebody, of all who are there already
_TRIES = 40
_SIDE = 128  # pixels of the picture of one person alone
_FOOT_PARTS = 23  # and 24

Stature = tuple[Bodies, Float[Tensor, "p v 3"], Float[Tensor, "p 4"]]
"""Bodies in the level frame, feet on y = 0 and pelvis at x = z = 0, their vertices, and their rows of `shape_info`."""


@dataclass(frozen=True)
class Gathering:
    """One picture of p people and the truth about it; tensors on the CPU, camera frame, metres, pixels."""

    image: UInt8[Tensor, "3 h w"]
    parts: UInt8[Tensor, "h w"]
    """The part, 0 to 24, that each pixel sees of whomever it sees."""
    person: UInt8[Tensor, "h w"]
    """Whom it sees: 0 nobody, else 1 + the row of the person."""
    camera: Camera
    up: Float[Tensor, "3"]
    """Unit normal of the floor, away from it; its points p have up . p = -above."""
    above: Float[Tensor, ""]
    """Metres from the floor up to the camera."""
    bodies: Bodies
    joints: Float[Tensor, "p 24 3"]
    seen: Float[Tensor, " p"]
    """Share of what the picture would show of each person alone, were it large enough, that it does show."""
    joints_seen: Float[Tensor, "p 24"]
    """The same within `JOINT_RADIUS` of each joint, whichever side of the body the joint is on."""
    sex: Float[Tensor, " p"]
    """0 male .. 1 female; like the age, that of the draw of the population that the shape is near to."""
    age: Float[Tensor, " p"]
    """Years."""
    height: Float[Tensor, " p"]
    """Metres, of the body itself."""
    mass: Float[Tensor, " p"]
    """Kilograms, of the body itself."""


@dataclass(frozen=True)
class GatheringSampler:
    """Draws one picture at a time."""

    people: Sampler

    def sample(self) -> Gathering:
        """The next picture; who is in it depends on the state of the people's generator alone."""
        sampler, generator = self.people, self.people.generator
        size = SIZES[int(torch.randint(len(SIZES), (), generator=generator))]
        focal = math.hypot(*size) * _log_uniform(*LENS, generator)
        above = float(view.uniform((), *ABOVE, generator))
        near = max(focal * 1.7 / (_log_uniform(*_SIZE, generator) * size[1]), 2 * NEAREST)
        far = near * _log_uniform(*_DEPTH, generator)
        outlook = Outlook.draw(generator, size, focal, above, math.sqrt(near * far))
        wanted = int(torch.randint(PEOPLE[0], PEOPLE[1] + 1, (), generator=generator))
        bodies, info = self._placed(outlook, near, far, wanted)
        body = sampler.body
        crowd = bodies.posed(body)
        # On the floor with the vertices that everybody has, and not with those of the small mesh.
        drop = outlook.above + (crowd.vertices @ outlook.up).amin(1)
        bodies = Bodies(bodies.betas, bodies.rotations, bodies.pelvis - drop[:, None] * outlook.up)
        crowd = bodies.posed(body)
        rest = body.rest_vertices(bodies.betas)
        image, parts, person, seen, joints_seen = self._drawn(outlook, bodies, crowd, info, far)
        return Gathering(
            image, parts, person, outlook.camera, outlook.up, torch.tensor(above), bodies, crowd.joints, seen,
            joints_seen, info[:, 1], info[:, 0], height(rest), mass(rest, body.faces),
        )  # fmt: skip

    def _placed(self, outlook: Outlook, near: float, far: float, wanted: int) -> tuple[Bodies, Float[Tensor, "p k"]]:
        """About as many people as are wanted, two at least, in the camera frame, apart from each other."""
        generator, small = self.people.generator, self.people.small
        tangent = outlook.width / 2 / float(outlook.camera.focal)
        while True:
            bodies, vertices, info = self._standing(small, wanted)
            places: list[Tensor] = []
            stand: list[Tensor] = []
            who: list[int] = []
            for index in range(len(vertices)):
                for _ in range(_TRIES):
                    depth = near * (far / near) ** float(view.uniform((), 0.0, 1.0, generator))
                    across = float(view.uniform((), -1.05, 1.05, generator)) * tangent
                    if places and view.chance(1, _BEHIND, generator):
                        other = places[int(torch.randint(len(places), (), generator=generator))]
                        across = float(other[0] / other[2]) + float(view.normal((), 0.35, generator)) / depth
                    place = torch.tensor([across * depth, outlook.above, depth])
                    moved = vertices[index] + place
                    if self._fits(outlook, moved, stand):
                        places.append(place)
                        stand.append(moved)
                        who.append(index)
                        break
            if len(who) >= PEOPLE[0]:
                break
        chosen = bodies[torch.tensor(who)]
        root = outlook.cam_from_level @ chosen.rotations[:, :1]
        pelvis = (chosen.pelvis + torch.stack(places)) @ outlook.cam_from_level.T
        return Bodies(chosen.betas, torch.cat([root, chosen.rotations[:, 1:]], 1), pelvis), info[who]

    def _fits(self, outlook: Outlook, moved: Float[Tensor, "v 3"], others: list[Tensor]) -> bool:
        """Whether somebody may stand there: apart from others, before the camera, the head in the picture."""
        seen = moved @ outlook.cam_from_level.T
        if seen[:, 2].min() < NEAREST or any(torch.cdist(moved, other).min() < APART for other in others):
            return False
        # The upper fifth of the body, and some of the breadth.
        top = moved[:, 1] < moved[:, 1].amin() + 0.2 * (moved[:, 1].amax() - moved[:, 1].amin())
        x, y = outlook.camera.project(seen[top].mean(0, keepdim=True))[0].tolist()
        return -0.02 * outlook.width < x < 1.02 * outlook.width and 0 < y < outlook.height

    def _standing(self, small: BodyModel, wanted: int) -> Stature:
        """People who could stand as they do: upright, on their feet and in balance."""
        sampler, generator = self.people, self.people.generator
        kept: list[Stature] = []
        while sum(len(info) for _, _, info in kept) < wanted:
            count = 4 * wanted
            betas, info = sampler.draw_shapes(count)
            poses = sampler.poses.sample(count, generator, sampler.split)
            flip = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
            root = flip @ view.sample_headings(count, generator) @ poses[:, 0]
            bodies = Bodies(betas, torch.cat([root[:, None], poses[:, 1:]], 1), torch.zeros(count, 3))
            posed = bodies.posed(small)
            good = stands(small, betas, posed) & (info[:, 0] >= YOUNGEST)
            down = torch.zeros(count, 1, 3)
            down[..., 1] = posed.vertices[..., 1].amax(1, keepdim=True)
            placed = Bodies(betas, bodies.rotations, bodies.pelvis - down[:, 0])
            kept.append((placed[good], (posed.vertices - down)[good], info[good]))
        bodies, vertices, info = zip(*kept, strict=True)
        joined = Bodies(*(torch.cat([getattr(each, name) for each in bodies]) for name in vars(bodies[0])))
        return joined[:wanted], torch.cat(vertices)[:wanted], torch.cat(info)[:wanted]

    def _drawn(
        self, outlook: Outlook, bodies: Bodies, crowd: BodyOutput, info: Float[Tensor, "p k"], far: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The picture, parts and people that its pixels see, and how much is seen of people and of joints."""
        sampler, generator = self.people, self.people.generator
        side, rows, columns = max(outlook.width, outlook.height), outlook.height, outlook.width
        camera = Camera(outlook.camera.focal[None], outlook.camera.center[None])
        wearing, bare = sampler.closet.dress(info[:, 1], generator)
        paint = sampler.closet.paint(bare, generator)
        posed = pose_crowd(wearing, bodies.betas, crowd)
        together = torch.zeros(len(info), dtype=torch.int64)
        soup = look_at(posed, together, camera.focal, camera.center, side)
        fragments = draw(soup, 1, side, paint.textures)
        lights = light.sample_lights(1, generator)
        shaded = shade(soup, fragments, camera, paint, lights, view.uniform((1,), 0.0, 0.25, generator))
        wall = far + float(view.uniform((), 1.0, 4.0, generator))
        level = crowd.vertices @ outlook.cam_from_level
        behind = draw_hall(outlook, level, wall, sampler.backgrounds, side, generator)
        scene = torch.where(fragments.mask[:, None], shaded.permute(0, 3, 1, 2), behind)
        image = degrade.degrade(scene, generator)[0, :, :rows, :columns]
        parts, person = _maps(soup, fragments)
        parts, person = parts[:rows, :columns].contiguous(), person[:rows, :columns].contiguous()
        low, zoom = _windows(camera.project(crowd.vertices))
        alone = look_at(
            posed, torch.arange(len(info)), camera.focal * zoom, (camera.center - low) * zoom[:, None], _SIDE, lit=False
        )
        whole = draw(alone, len(info), _SIDE, paint.textures).mask
        count = torch.bincount(person.flatten().long(), minlength=len(info) + 1)[1:]
        seen = (count / (whole.sum((1, 2)) / zoom**2).clamp(min=1)).clamp(max=1)
        spots = _around(crowd.joints, height(sampler.small.rest_vertices(bodies.betas)), outlook.camera)
        joints_seen = _share(spots, person, whole, low, zoom)
        return (image * 255).round().byte(), parts, person, seen, joints_seen


def stands(body: BodyModel, betas: Float[Tensor, "p s"], posed: BodyOutput) -> Bool[Tensor, " p"]:
    """Whether people, y down, could stand as they do: lowest with a foot, the pelvis not much lower than upright, the
    trunk upright within 45 degrees, and their middle above what touches the floor."""
    rest, rest_joints = body.rest_vertices(betas), body.rest_joints(betas)
    tall = height(rest)
    upright = rest_joints[:, 0, 1] - rest[..., 1].amin(1)
    floor = posed.vertices[..., 1].amax(1)
    feet = body.faces[body.face_parts >= _FOOT_PARTS].unique()
    on_foot = posed.vertices[:, feet, 1].amax(1) >= floor - 0.005
    high = floor - posed.joints[:, 0, 1] >= 0.8 * upright
    spine = posed.joints[:, 12] - posed.joints[:, 0]
    erect = -spine[:, 1] > spine.norm(dim=-1) * math.cos(math.pi / 4)
    touching = (posed.vertices[..., 1] > floor[:, None] - 0.05).float()[..., None]
    support = (touching * posed.vertices).sum(1) / touching.sum(1)
    sway = (posed.vertices.mean(1) - support)[:, [0, 2]].norm(dim=-1)
    return on_foot & high & erect & (sway < 0.13 * tall)


def _log_uniform(low: float, high: float, generator: Generator) -> float:
    return math.exp(float(view.uniform((), math.log(low), math.log(high), generator)))


def _maps(soup: Soup, fragments: Fragments) -> tuple[UInt8[Tensor, "r r"], UInt8[Tensor, "r r"]]:
    """Part and person (counted from 1) that each pixel of the first picture sees."""
    face = fragments.face[0]
    row = face.clamp(min=0)
    parts = torch.where(face >= 0, soup.parts[soup.face[row]], 0)
    return parts.byte(), torch.where(face >= 0, soup.person[row] + 1, 0).byte()


def _windows(pixels: Float[Tensor, "p v 2"]) -> tuple[Float[Tensor, "p 2"], Float[Tensor, " p"]]:
    """Upper left corner of a square around each person with some room for clothes, and what it is enlarged by."""
    low, high = pixels.amin(1), pixels.amax(1)
    size = 1.15 * (high - low).amax(1)
    return (low + high - size[:, None]) / 2, _SIDE / size


def _around(joints: Float[Tensor, "p 24 3"], tall: Float[Tensor, " p"], camera: Camera) -> Float[Tensor, "p 24 k 2"]:
    """Pixels of the picture on a disc about each joint."""
    steps = torch.linspace(-1, 1, 5)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).flatten(0, 1)
    disc = grid[grid.norm(dim=-1) <= 1.2]
    radius = JOINT_RADIUS / 1.7 * tall[:, None] * camera.focal / joints[..., 2]
    return camera.project(joints)[:, :, None] + radius[..., None, None] * disc


def _share(
    spots: Float[Tensor, "p 24 k 2"],
    person: UInt8[Tensor, "h w"],
    whole: Bool[Tensor, "p s s"],
    low: Float[Tensor, "p 2"],
    zoom: Float[Tensor, " p"],
) -> Float[Tensor, "p 24"]:
    """Of the spots that show a person who is alone, the share that shows them among the others as well."""
    x, y = ((spots - low[:, None, None]) * zoom[:, None, None, None]).floor().long().clamp(0, _SIDE - 1).unbind(-1)
    row = torch.arange(len(spots))[:, None, None]
    alone = whole[row, y, x]
    rows, columns = person.shape
    x, y = spots.floor().long().unbind(-1)
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    mine = person[y.clamp(0, rows - 1), x.clamp(0, columns - 1)] == row + 1
    return (alone & inside & mine).sum(-1) / alone.sum(-1).clamp(min=1)
