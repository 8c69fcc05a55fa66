"""Pictures of bodies: the mesh lies where the camera says, people hide one another by depth, odd shapes work."""

import numpy as np
import pytest
import torch
from PIL import Image

from nbf.geometry import Camera, Crop
from nbf.render import draw_mesh, over, overlay, part_colors, part_labels, side_view, summary


@pytest.fixture
def square():
    """A 1 m square at the origin of x and y, facing the camera, to be put at some depth."""
    vertices = torch.tensor([[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, 0.5, 0.0], [-0.5, 0.5, 0.0]])
    # Counter-clockwise from the camera, whose y points down.
    return vertices, torch.tensor([[0, 2, 1], [0, 3, 2]])


def _camera(focal, width, height):
    return Camera(torch.tensor(float(focal)), torch.tensor([width / 2, height / 2]))


def test_mesh_lies_where_the_camera_projects_it(square):
    vertices, faces = square
    drawn = draw_mesh((vertices + torch.tensor([0.2, 0, 2.0]))[None], faces, _camera(40, 60, 50), 60, 50)
    # 1 m at 2 m depth with a focal length of 40 px is 20 px; 0.2 m is 4 px.
    expected = torch.zeros(50, 60)
    expected[15:35, 24:44] = 1
    torch.testing.assert_close(drawn[..., 3], expected)


def test_edges_are_antialiased(square):
    vertices, faces = square
    drawn = draw_mesh((vertices + torch.tensor([0.0125, 0, 2.0]))[None], faces, _camera(40, 60, 50), 60, 50)
    # Shifted by a quarter of a pixel, one of two samples falls in.
    assert set(drawn[..., 3].unique().tolist()) == {0.0, 0.5, 1.0}
    assert (drawn[..., :3] <= drawn[..., 3:] + 1e-6).all()


def test_nearer_people_hide_the_others(square):
    vertices, faces = square
    tilted = vertices @ torch.tensor([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])
    near, far = vertices + torch.tensor([0, 0, 2.0]), tilted + torch.tensor([0, 0, 4.0])
    camera = _camera(40, 60, 50)
    both = draw_mesh(torch.stack([far, near]), faces, camera, 60, 50)
    swapped = draw_mesh(torch.stack([near, far]), faces, camera, 60, 50)
    alone = draw_mesh(near[None], faces, camera, 60, 50)
    torch.testing.assert_close(both, swapped)
    torch.testing.assert_close(both, alone)


def test_guessed_faces_are_hatched_and_no_others(square):
    vertices, faces = square
    vertices, camera = (vertices + torch.tensor([0, 0, 2.0]))[None], _camera(320, 200, 200)
    plain = draw_mesh(vertices, faces, camera, 200, 200)
    torch.testing.assert_close(draw_mesh(vertices, faces, camera, 200, 200, torch.tensor([[False, False]])), plain)
    hatched = draw_mesh(vertices, faces, camera, 200, 200, torch.tensor([[True, False]]))
    changed = (hatched != plain).any(dim=-1)
    y, x = torch.meshgrid(torch.arange(200), torch.arange(200), indexing="ij")
    # The first face is the half above the diagonal from the upper left to the lower right corner.
    inside = (x > y) & (plain[..., 3] == 1)
    assert not changed[x < y].any()
    assert changed[inside].float().mean() > 0.99
    # Half of it is see-through, and colours stay multiplied by alpha.
    assert (hatched[..., 3][inside] < 0.8).float().mean() == pytest.approx(0.5, abs=0.1)
    assert (hatched[..., :3] <= hatched[..., 3:] + 1e-6).all()


def test_hatching_stands_still_in_the_picture(square):
    vertices, faces = square
    camera, guessed = _camera(320, 200, 200), torch.tensor([[True, True]])
    here, there = (
        draw_mesh((vertices + torch.tensor([x, 0, 2.0]))[None], faces, camera, 200, 200, guessed) for x in (0.0, 0.11)
    )
    both = (here[..., 3] > 0) & (there[..., 3] > 0)
    # The border of a mesh is half covered.
    both[:, [20, 37, 38, 179, 180]] = False
    assert both.sum() > 10_000
    torch.testing.assert_close(here[both], there[both])


@pytest.mark.parametrize("ground", [0, 64, 128, 255])
def test_hatching_shows_on_any_photo_at_any_size(square, ground):
    vertices, faces = square
    pixels = np.full((1024, 1024, 3), ground, np.uint8)
    vertices, guessed = (vertices + torch.tensor([0, 0, 2.0]))[None], torch.tensor([[True, True]])
    camera = _camera(400, 1024, 1024)
    large = overlay(pixels, vertices, faces, camera, 1024, guessed)
    small = overlay(pixels, vertices, faces, camera, 256, guessed)
    shrunk = large.resize((256, 256), Image.Resampling.LANCZOS)
    for picture in (large, small, shrunk):
        side = picture.width
        gray = np.asarray(picture.convert("L"))[side * 7 // 16 : side * 9 // 16, side * 7 // 16 : side * 9 // 16]
        assert np.percentile(gray, 90) - np.percentile(gray, 10) > 25


def test_hatching_belongs_to_the_person(square):
    vertices, faces = square
    near, far = vertices + torch.tensor([0.3, 0, 2.0]), vertices + torch.tensor([-0.3, 0, 2.5])
    camera, one, none = _camera(80, 120, 100), torch.tensor([True, True]), torch.tensor([False, False])
    first = draw_mesh(torch.stack([near, far]), faces, camera, 120, 100, torch.stack([one, none]))
    second = draw_mesh(torch.stack([far, near]), faces, camera, 120, 100, torch.stack([none, one]))
    torch.testing.assert_close(first, second)
    plain = draw_mesh(torch.stack([near, far]), faces, camera, 120, 100)
    alone = draw_mesh(near[None], faces, camera, 120, 100)[..., 3] > 0
    assert ((first != plain).any(dim=-1) <= alone).all()


def test_over_mixes_by_alpha():
    photo = Image.new("RGB", (2, 1), (100, 100, 100))
    drawn = torch.tensor([[[0.5, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0]]])
    np.testing.assert_array_equal(np.asarray(over(photo, drawn)), [[[178, 50, 50], [100, 100, 100]]])


@pytest.mark.parametrize("guess", [None, True])
def test_a_picture_around_the_bodies_changes_nothing_in_it(make_people, guess):
    people = make_people(2, width=128, height=128)
    vertices, faces, (x, y) = torch.stack([p.vertices for p in people]), people[0].faces, (24, 40)
    guessed = None if guess is None else torch.ones(2, len(faces), dtype=torch.bool)
    camera = Camera(people.camera.focal, people.camera.center - torch.tensor([x, y]))
    whole = draw_mesh(vertices, faces, people.camera, 128, 128, guessed)
    part = draw_mesh(vertices, faces, camera, 72, 48, guessed)
    assert 0.2 < (part[..., 3] > 0).float().mean() < 0.9
    torch.testing.assert_close(part[..., 3] > 0, whole[y : y + 48, x : x + 72, 3] > 0)
    if guess is None:  # hatching belongs to the picture
        torch.testing.assert_close(part, whole[y : y + 48, x : x + 72])


@pytest.mark.parametrize("away", [[0.0, 0, -2], [50, 0, 2], [0, -50, 2], [torch.nan, 0, 2], [torch.inf, 0, 2]])
def test_who_is_not_in_the_picture_is_not_drawn(square, away):
    vertices, faces = square
    assert not draw_mesh((vertices + torch.tensor(away))[None], faces, _camera(40, 60, 50), 60, 50).any()


@pytest.mark.parametrize(("width", "height"), [(80, 120), (120, 80)])
def test_side_view_shows_everybody_level(make_people, width, height):
    vertices = torch.stack([person.vertices for person in make_people(3)])
    turned, camera = side_view(vertices, width, height)
    pixels = camera.project(turned)
    assert (pixels >= 0).all()
    assert (pixels <= torch.tensor([width, height])).all()
    # Rigid: bodies keep their size, and up stays up.
    before, after = vertices[0] - vertices[0, :1], turned[0] - turned[0, :1]
    torch.testing.assert_close(after.norm(dim=-1), before.norm(dim=-1))
    torch.testing.assert_close(after[:, 1], before[:, 1])


def test_who_faces_the_camera_looks_to_the_right_from_the_side(make_people):
    person = make_people(1, bend=0.0)[0]
    toes, heels = person.joints_3d()[10:12], person.joints_3d()[7:9]
    turned, camera = side_view(torch.cat([toes, heels])[None], 80, 120)
    pixels = camera.project(turned)[0]
    assert pixels[:2, 0].mean() > pixels[2:, 0].mean()


def test_side_view_draws_distant_people_together(make_people):
    vertices = torch.stack([person.vertices for person in make_people(2)])
    vertices[1, :, 2] += 30
    turned, _ = side_view(vertices, 80, 120)
    assert turned[..., 0].amax() - turned[..., 0].amin() < 4


def test_part_colours_and_labels_agree():
    probabilities = torch.zeros(25, 64, 64)
    probabilities[0] = 1
    probabilities[:, 16:48, 16:48] = 0
    probabilities[7, 16:48, 16:48] = 1
    crop = Crop(torch.tensor([50.0, 40.0]), torch.tensor(40.0), 256)
    labels = part_labels(probabilities, crop, 100, 80)
    colors = part_colors([(probabilities, crop)], 100, 80)
    assert (labels == 7).sum() == 20 * 20
    assert (labels[30:50, 40:60] == 7).all()
    np.testing.assert_array_equal(colors[..., 3].numpy() > 0.5, labels == 7)
    doubled = part_colors([(probabilities, crop)], 200, 160, zoom=2.0)
    assert (doubled[..., 3] > 0.5).sum() == 40 * 40


def test_the_surer_part_map_wins():
    crop = Crop(torch.tensor([8.0, 8.0]), torch.tensor(16.0), 256)
    maps = []
    for part, sure in ((1, 0.9), (2, 0.7)):
        probabilities = torch.zeros(25, 64, 64)
        probabilities[0], probabilities[part] = 1 - sure, sure
        maps.append((probabilities, crop))
    torch.testing.assert_close(part_colors(maps, 16, 16), part_colors(maps[:1], 16, 16))


def test_overlay_shrinks_large_pictures_and_keeps_small_ones(make_people):
    people = make_people(1, width=300, height=400)
    assert people.overlay().size == (300, 400)
    assert people.overlay(max_side=100).size == (75, 100)
    assert people[0].overlay(max_side=100).size == (75, 100)
    before, after = np.asarray(people.overlay()), np.asarray(people[:0].overlay())
    changed = (before != after).any(axis=-1)
    rows, columns = np.nonzero(changed)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found, people[0].box.numpy(), atol=1.5)


@pytest.mark.parametrize(("width", "height"), [(96, 128), (128, 96), (16, 700), (700, 16), (1500, 1000)])
def test_summary_has_four_equal_panels_for_any_shape(make_people, width, height):
    people = make_people(2, width=width, height=height)
    sheet = people.summary()
    assert sheet.mode == "RGB"
    assert sheet.width > 4 * 200
    assert sheet.height < 700


def test_overlay_survives_people_behind_the_camera(make_people):
    people = make_people(1)
    vertices = people[0].vertices[None] - torch.tensor([0, 0, 8.0])
    seen = overlay(people.picture.pixels, vertices, people[0].faces, people.camera, 1024)
    np.testing.assert_array_equal(np.asarray(seen), people.picture.pixels)
    summary(people.picture.pixels, [], vertices, people[0].faces, people.camera)


def test_pictures_without_guesses_are_the_plain_ones(make_people):
    people = make_people(2)
    vertices, faces = torch.stack([person.vertices for person in people]), people[0].faces
    arms = torch.isin(people[0].body.face_parts, torch.arange(3, 11))
    nothing, guessed = torch.zeros(2, len(faces), dtype=torch.bool), arms.expand(2, -1)
    pixels, camera = people.picture.pixels, people.camera
    parts = [(person.parts.probabilities, person.parts.crop) for person in people]
    plain = np.asarray(overlay(pixels, vertices, faces, camera, 1024))
    plain_summary = np.asarray(summary(pixels, parts, vertices, faces, camera))
    for same in (None, nothing):
        np.testing.assert_array_equal(overlay(pixels, vertices, faces, camera, 1024, same), plain)
        np.testing.assert_array_equal(summary(pixels, parts, vertices, faces, camera, same), plain_summary)
    assert (np.asarray(overlay(pixels, vertices, faces, camera, 1024, guessed)) != plain).any()
    changed = np.nonzero(
        (np.asarray(summary(pixels, parts, vertices, faces, camera, guessed)) != plain_summary).any((0, 2))
    )[0]
    # Only the third of the four panels.
    width = plain_summary.shape[1]
    assert width / 2 - 12 < changed.min()
    assert changed.max() < width * 3 / 4


def test_hatching_of_nobody(make_people):
    people = make_people(1)
    empty = torch.zeros(0, 0, 3), torch.zeros(0, 3, dtype=torch.int64), people.camera
    nobody = overlay(people.picture.pixels, *empty, 1024, torch.zeros(0, 0, dtype=torch.bool))
    np.testing.assert_array_equal(nobody, people.picture.pixels)


@pytest.mark.parametrize("place", [[50.0, 40], [-10, 40], [50, -10], [110, 40], [50, 90], [-300, 40]])
def test_part_maps_lie_where_their_crops_do(place):
    """Looking only at where somebody is misses nobody, at the border of the picture and beyond."""
    draw = torch.Generator().manual_seed(0)
    probabilities = torch.zeros(25, 64, 64)
    probabilities[1:, 20:30, 5:64] = torch.rand(24, 10, 59, generator=draw) ** 8
    probabilities[0] = 1
    probabilities /= probabilities.sum(dim=0)
    crop = Crop(torch.tensor(place, dtype=torch.float32), torch.tensor(60.0), 256)
    x, y = np.meshgrid(np.arange(100) + 0.5, np.arange(80) + 0.5)
    grid = torch.tensor(np.stack([x, y], axis=-1), dtype=torch.float32) - crop.center
    inside = (grid.abs() < 30).all(dim=-1)
    every = torch.nn.functional.grid_sample(
        probabilities[None], grid[None] / 30, padding_mode="border", align_corners=False
    )[0]
    expected = torch.where(inside, every.argmax(dim=0), 0).numpy()
    np.testing.assert_array_equal(part_labels(probabilities, crop, 100, 80), expected)
    strength = every**4
    alpha = torch.where(inside, strength[1:].sum(dim=0) / strength.sum(dim=0), 0)
    torch.testing.assert_close(part_colors([(probabilities, crop)], 100, 80)[..., 3], alpha, atol=1e-3, rtol=0)
