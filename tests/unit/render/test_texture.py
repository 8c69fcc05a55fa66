"""Textures of people who were painted in colours that are known at each place of the body, the same left and right."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nbf.body.files import load_body
from nbf.body.model import BodyModel, BodyOutput
from nbf.errors import InputError
from nbf.geometry import Camera, Crop, matrix_from_axis_angle
from nbf.people import PartMap, Person
from nbf.pictures import Picture
from nbf.proxy.part_files import part_shares
from nbf.raster import gather_faces, interpolate, rasterize, rasterize_packed, sample_texture
from nbf.render.texture import GUESSED, MIRRORED, SEEN, person_textures

SIDE = 256
WIDTH, HEIGHT = 240, 320
CAMERA = Camera.default(WIDTH, HEIGHT)
BACKGROUND = 255
BOX = torch.tensor([40.0, 20, 200, 300])
CROP = Crop.from_boxes(BOX, 256)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body("anny24")


@pytest.fixture
def pair(make_people, body):
    """Two people of full detail, both in the middle, one behind the other; with whatever picture."""

    def placed(person: Person, turn: float, depth: float) -> Person:
        rotations = person.rotations.clone()
        rotations[0] = rotations[0] @ matrix_from_axis_angle(torch.tensor([0.0, turn, 0.0]))
        translation = torch.tensor([0.0, -0.1, depth])
        posed = body(person.betas, rotations, translation)
        return replace(
            person,
            rotations=rotations,
            translation=translation,
            body=body,
            posed=posed,
            camera=CAMERA,
            box=BOX,
        )

    one, other = make_people(2)
    return placed(one, 0.3, 3.0), placed(other, -0.2, 3.8)


def paint(body: BodyModel) -> torch.Tensor:
    """Colours of vertices, 0 .. 1, none of them white."""
    x, y, z = body.template.T
    return torch.stack(
        [0.5 + 0.3 * (4 * y).sin(), 0.5 + 0.3 * (5 * y + 3 * z).cos(), 0.5 + 0.3 * (6 * x.abs()).sin()], 1
    )


def seen_in_one_picture(persons: list[Person], colors: list[torch.Tensor]) -> list[Person]:
    """They as a photo shows them: its pixels, and true part maps."""
    body, count = persons[0].body, len(persons[0].vertices)
    points = CAMERA.pixels_depth(torch.cat([person.vertices for person in persons])[None])[0]
    faces = torch.cat([body.faces + i * count for i in range(len(persons))])
    drawn = rasterize_packed(points, faces, torch.zeros(len(faces), dtype=torch.int64), 1, HEIGHT, WIDTH)
    pixels = interpolate(drawn, faces, torch.cat(colors) * 255, fill=BACKGROUND)[0].round().byte().numpy()
    who = torch.arange(len(persons)).repeat_interleave(len(body.faces))
    shown = gather_faces(drawn, body.face_parts.repeat(len(persons)), 0)[0]
    whose = gather_faces(drawn, who, -1)[0]
    seen = []
    for i, person in enumerate(persons):
        labels = torch.where(whose == i, shown, 0).byte().numpy()
        parts = PartMap(part_shares(labels, CROP), CROP)
        seen.append(replace(person, picture=Picture(pixels, "painted"), parts=parts))
    return seen


def truth(body: BodyModel, colors: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The texture that vertices of these colours have, 0 .. 255, and where the body is in it."""
    points = torch.cat([body.uv * SIDE, torch.ones(len(body.uv), 1)], 1)
    points[:, 1] = SIDE - points[:, 1]
    texels = rasterize(points[None], body.faces_uv, SIDE, SIDE, cull=False)
    return interpolate(texels, body.faces, colors)[0].numpy() * 255, texels.mask[0].numpy()


def redrawn(person: Person, texture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the camera's picture: RGBA of who has the texture, and where they are."""
    body = person.body
    drawn = rasterize(CAMERA.pixels_depth(person.vertices[None]), body.faces, HEIGHT, WIDTH)
    uv = (body.uv[body.faces_uv][drawn.face[0]] * drawn.barycentrics[0][..., None]).sum(-2)
    uv[..., 1] = 1 - uv[..., 1]
    return sample_texture(torch.from_numpy(texture)[None], uv).numpy() * 255, drawn.mask[0].numpy()


def test_what_is_seen_has_the_colours_of_the_photo(pair, body):
    (person,) = seen_in_one_picture([pair[0]], [paint(body)])
    (texture,) = person_textures([person], SIDE)
    expected, there = truth(body, paint(body))
    kind = texture[..., 3]
    assert set(np.unique(kind[there])) == {SEEN, MIRRORED, GUESSED}
    assert (kind[there] == SEEN).mean() > 0.25
    off = np.abs(texture[..., :3] - expected)
    assert off[there & (kind == SEEN)].mean() < 2
    # Left and right are painted alike, so that what is mirrored is right as well; what is made up is near.
    assert off[there & (kind == MIRRORED)].mean() < 3
    assert off[there & (kind == GUESSED)].mean() < 12
    # The background, which is white, is nowhere.
    assert (texture[there][:, :3].min(axis=1) < 215).all()


def test_drawn_again_the_person_is_that_of_the_photo(pair, body):
    (person,) = seen_in_one_picture([pair[0]], [paint(body)])
    (texture,) = person_textures([person], SIDE)
    drawn, there = redrawn(person, texture)
    seen = there & (drawn[..., 3] > (SEEN + MIRRORED) / 2)
    assert seen.sum() > 0.6 * there.sum()
    assert np.abs(drawn[..., :3] - person.picture.pixels)[seen].mean() < 5


def test_nobody_gets_the_colours_of_who_stands_before_them(pair, body):
    grey = torch.full_like(paint(body), 0.05)
    front, behind = seen_in_one_picture(list(pair), [grey, paint(body)])
    textures = person_textures([front, behind], SIDE)
    there = truth(body, grey)[1]
    dark = [(texture[there][:, :3].max(axis=1) < 40).mean() for texture in textures]
    assert dark[0] > 0.98  # pixels along the edge of one are of both
    assert dark[1] == 0


def test_meshes_and_maps_each_say_who_is_in_front(pair, body):
    grey = torch.full_like(paint(body), 0.05)
    front, behind = seen_in_one_picture(list(pair), [grey, paint(body)])

    def share(person: Person, parts: torch.Tensor, sure: float) -> Person:
        """Who is surely there, or almost."""
        nothing = torch.zeros_like(parts)
        nothing[0] = 1
        return replace(person, parts=PartMap(sure * parts + (1 - sure) * nothing, CROP))

    def dark(*persons: Person) -> float:
        """The share of what is seen of who is behind that shows who is in front."""
        texture = person_textures(persons, SIDE)[1]
        return (texture[texture[..., 3] == SEEN][:, :3].max(axis=1) < 40).mean()

    own, theirs = front.parts.probabilities, behind.parts.probabilities
    both = torch.cat([(own[:1] + theirs[:1] - 1).clamp_min(0), own[1:] + theirs[1:]])
    # The map takes all for who is behind: then the meshes tell.
    assert dark(share(front, own, 0.85), share(behind, both, 1)) < 0.03
    # The mesh of who is in front is elsewhere: then the maps tell.
    aside = replace(front, posed=BodyOutput(front.posed.vertices + 9, front.posed.joints, front.posed.transforms))
    told, untold = (dark(share(aside, own, a), share(behind, both, b)) for a, b in ((1, 0.85), (0.85, 1)))
    assert told < 0.5 * untold  # but for a border, where neither map is sure


def test_a_large_photo_gives_what_a_small_one_does(pair, body):
    (person,) = seen_in_one_picture([pair[0]], [paint(body)])
    large = replace(
        person,
        picture=Picture(person.picture.pixels.repeat(8, 0).repeat(8, 1), "large"),
        camera=person.camera.scaled(8),
        box=person.box * 8,
        parts=PartMap(
            person.parts.probabilities,
            replace(CROP, center=CROP.center * 8, size=CROP.size * 8),
        ),
    )
    one, other = person_textures([person], SIDE)[0], person_textures([large], SIDE)[0]
    assert np.abs(one.astype(float) - other)[..., :3].mean() < 3


def test_a_body_whose_places_share_texels_is_refused(make_people):
    with pytest.raises(InputError, match="expected a body of full detail"):
        person_textures(make_people(1).persons)
