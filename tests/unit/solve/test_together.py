"""People who were fitted one by one, arranged: laws on people who were made up and misjudged."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nbf.body.bodies import DEPTH, Bodies
from nbf.body.files import load_body
from nbf.body.measure import height
from nbf.geometry import Camera
from nbf.raster import rasterize
from nbf.solve import floor
from nbf.solve.floor import Standing
from nbf.solve.order import Order, in_order, neighbours, order
from nbf.solve.together import Arrangement, ArrangementProblem, Singles, Together, joined

BODY = load_body("anny24", "small")
FLOOR = (0.03, 0.05, 0.5)
FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


@pytest.fixture(scope="module")
def together() -> Together:
    return Together(BODY, BODY)


def standing(places: Tensor, floor_of: tuple[float, float, float] | None = FLOOR) -> Bodies:
    """People at these x and z (metres) on a floor, each of another shape."""
    generator = torch.Generator().manual_seed(3)
    count = len(places)
    betas = torch.randn(count, BODY.shape_count, generator=generator)
    rotations = torch.eye(3).expand(count, 24, 3, 3).clone()
    rotations[:, 0] = FLIP
    bodies = Bodies(betas, rotations, torch.cat([places[:, :1], torch.zeros(count, 1), places[:, 1:]], 1))
    if floor_of is None:
        return bodies
    normal = torch.tensor([floor_of[0], 1.0, floor_of[1]])
    below = (bodies.posed(BODY).vertices @ normal).amax(1) - torch.tensor(floor_of[2]).exp()
    return Bodies(betas, rotations, bodies.pelvis - below[:, None] * torch.tensor([0.0, 1.0, 0.0]))


def covariance(bodies: Bodies, sigma: float) -> Tensor:
    """Of a step that makes people larger and farther by the same factor, and of little else."""
    count = len(bodies.betas)
    tall = BODY.shape_dirs.flatten(0, 1)
    larger = torch.linalg.lstsq(tall, BODY.rest_vertices(bodies.betas).flatten(1).T).solution.T
    way = torch.zeros(count, bodies.freedoms)
    way[:, DEPTH], way[:, 75:] = 1.0, larger
    return sigma**2 * way[:, :, None] * way[:, None] + 1e-6 * torch.eye(bodies.freedoms)


def singles(bodies: Bodies, sigma: float = 0.1, parts: Tensor | None = None) -> Singles:
    """As if each had been fitted alone, in crops that are the whole picture."""
    count = len(bodies.betas)
    if parts is None:
        parts = torch.zeros(count, 25, 64, 64)
        parts[:, 0] = 1.0
    spread = covariance(bodies, sigma)
    camera = Camera(torch.full((count,), 1.0), torch.full((count, 2), 0.5))
    return Singles(bodies, camera, parts, torch.ones(count, 2), spread, torch.ones(count, 24), spread[:, 75:, 75:])


def single(given: Singles, row: int) -> Singles:
    one = slice(row, row + 1)
    names = ("parts", "feet", "covariance", "joint_error", "shape_covariance")
    return Singles(given.bodies[one], given.camera[one], *(getattr(given, name)[one] for name in names))


def misjudged(bodies: Bodies, scale: Tensor, sigma: float = 0.1) -> Bodies:
    """Larger and farther by exp(scale): the same in the picture."""
    return bodies.moved(covariance(bodies, sigma)[:, :, DEPTH] / sigma**2 * scale[:, None])


ROW = torch.tensor([[-2.0, 5.0], [-0.7, 6.5], [0.6, 4.0], [2.0, 8.0], [3.5, 6.0], [-3.4, 7.0]])
WRONG = torch.tensor([0.12, -0.1, 0.05, -0.08, 0.1, -0.06])


def test_a_floor_is_found_and_sizes_agree_with_it(together: Together) -> None:
    true = standing(torch.cat([ROW, 1.3 * ROW]))
    tall = height(BODY.rest_vertices(true.betas))
    generator = torch.Generator().manual_seed(0)
    away: list[Tensor] = []
    for _ in range(6):
        fitted = misjudged(true, 0.1 * torch.randn(12, generator=generator))
        for each in (fitted, together(singles(fitted)).bodies):
            away.append((each.pelvis[:, 2] / true.pelvis[:, 2]).log().std())
            away.append((height(BODY.rest_vertices(each.betas)) - tall).abs().mean())
    before_depth, before_tall, after_depth, after_tall = torch.stack(away).view(6, 4).mean(0)
    assert after_depth < 0.6 * before_depth
    assert after_tall < 0.7 * before_tall


def test_one_known_height_sets_the_scale_of_all(together: Together) -> None:
    true = standing(ROW * torch.tensor([0.7, 0.1]) + torch.tensor([0.0, 5.0]))
    fitted = misjudged(true, torch.cat([torch.zeros(1), torch.full((5,), 0.15)]), 0.2)
    given = singles(fitted, 0.2)
    spread = given.covariance.clone()
    spread[0] = covariance(fitted, 0.005)[0]
    found = together(replace(given, covariance=spread)).bodies
    away = (found.pelvis[:, 2] / true.pelvis[:, 2]).log().abs()
    assert away[0] < 0.01
    untold = together(given).bodies
    assert away[1:].mean() < 0.65 * (untold.pelvis[1:, 2] / true.pelvis[1:, 2]).log().abs().mean()


def test_the_picture_stays(together: Together) -> None:
    given = singles(misjudged(standing(ROW), WRONG))
    found = together(given)
    pixels = [given.camera.project(each.posed(BODY).joints) for each in (given.bodies, found.bodies)]
    assert (pixels[0] - pixels[1]).norm(dim=-1).max() < 0.004  # of a picture's side
    assert (found.bodies.pelvis[:, 2] / given.bodies.pelvis[:, 2]).log().abs().max() > 0.03


def test_one_person_is_left_alone(together: Together) -> None:
    given = singles(standing(ROW[:1]))
    assert together(given) is given


def test_order_of_people_does_not_matter(together: Together) -> None:
    given = singles(misjudged(standing(ROW), WRONG))
    shuffle = torch.tensor([3, 0, 5, 1, 4, 2])
    each = [single(given, row) for row in shuffle.tolist()]
    found, other = together(given), together(joined(each))
    torch.testing.assert_close(other.bodies.pelvis, found.bodies.pelvis[shuffle], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(other.shape_covariance, found.shape_covariance[shuffle], atol=1e-4, rtol=1e-3)


def test_nobody_is_less_sure_afterwards(together: Together) -> None:
    given = singles(misjudged(standing(ROW), WRONG))
    found = together(given)
    for name in ("covariance", "shape_covariance"):
        less = getattr(given, name) - getattr(found, name)
        assert torch.linalg.eigvalsh(less.double()).min() > -1e-6, name
    assert (found.covariance[:, DEPTH, DEPTH] < 0.9 * given.covariance[:, DEPTH, DEPTH]).all()
    assert torch.linalg.eigvalsh(found.covariance.double()).min() > -1e-7
    assert (found.joint_error[:, 1:] <= 1.0 + 1e-4).all()


def test_who_is_seen_is_in_front(together: Together) -> None:
    """One behind the other, though the part maps, and nothing else, show it the other way round."""
    fitted = standing(torch.tensor([[0.0, 5.4], [0.15, 4.9]]))
    assert fitted.pelvis[0, 2] > fitted.pelvis[1, 2]
    vertices = fitted.posed(BODY).vertices
    camera = Camera(torch.tensor(1.0), torch.full((2,), 0.5))
    drawn = rasterize(camera.scaled(64).pixels_depth(vertices), BODY.faces, 64, 64)
    parts = torch.zeros(2, 25, 64, 64)
    for person in range(2):
        mine = drawn.mask[person] & ~((person == 1) & drawn.mask[0])
        labels = torch.where(mine, BODY.face_parts[drawn.face[person].clamp_min(0)], 0)
        parts[person].scatter_(0, labels[None], 1.0)
    given = singles(fitted, 0.2, parts)
    told = order(BODY, vertices, given.camera, parts, neighbours(vertices))
    assert (told.front.tolist(), told.back.tolist()) == ([0], [1])
    found, blind = (together(each).bodies.pelvis[:, 2] for each in (given, singles(fitted, 0.2)))
    assert found[0] < found[1]
    assert blind[0] > blind[1]


def test_nobody_says_who_is_in_front_without_evidence() -> None:
    vertices = standing(torch.tensor([[0.0, 4.0], [0.1, 5.0], [9.0, 5.0]])).posed(BODY).vertices
    pairs = neighbours(vertices)
    assert pairs.tolist() == [[0, 1]]
    camera = Camera(torch.ones(3), torch.full((3, 2), 0.5))
    assert not len(order(BODY, vertices, camera, torch.full((3, 25, 64, 64), 0.04), pairs).front)


def test_people_do_not_stand_in_each_other(together: Together) -> None:
    fitted = standing(torch.tensor([[0.0, 5.0], [0.05, 5.1]]), None)
    given = singles(fitted, 0.2)
    problem, found = together.problem(given), together(given)
    again = together.problem(replace(given, bodies=found.bodies))
    still = Arrangement(torch.zeros(1, 2), torch.tensor([floor.MEAN]))
    sunk = [each.blocks(still)[-1].residuals.sum() for each in (problem, again)]
    assert sunk[0] > 5
    assert sunk[1] < 1.5  # of the standard deviation by which they may


def test_derivatives_are_those_of_the_residuals() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    spheres = torch.tensor([[0.0, 0.0, 4.0], [0.3, 0.0, 4.1], [0.1, 0.2, 4.0]], dtype=torch.float64)
    sigma = torch.tensor([0.1, 0.5, 0.2], dtype=torch.float64)
    problem = ArrangementProblem(
        torch.full((3,), 0.1, dtype=torch.float64),
        Standing(draw(3, 3) + torch.tensor([0.0, 1.5, 5.0]), sigma, 0.1 * draw(3, 2), torch.ones(3).to(sigma)),
        Order(torch.tensor([0, 2]), torch.tensor([1, 1]), torch.tensor([0.3, 0.1], dtype=torch.float64)),
        spheres, torch.full((3,), 0.3, dtype=torch.float64), torch.tensor([0, 1, 2]), torch.tensor([[0, 1], [0, 2]]),
    )  # fmt: skip
    at = torch.cat([0.05 * draw(3), torch.tensor(FLOOR, dtype=torch.float64)])

    def state(values: Tensor) -> Arrangement:
        return Arrangement(values[None, :3], values[None, 3:])

    for index, block in enumerate(problem.blocks(state(at))):
        assert block.jacobian is not None
        assert block.residuals.abs().max() > 0, index
        wanted = torch.autograd.functional.jacobian(
            lambda values, index=index: problem.blocks(state(values))[index].residuals, at
        )
        torch.testing.assert_close(block.jacobian, wanted, atol=1e-9, rtol=1e-7)


def test_pairs_in_order_need_nothing() -> None:
    told = Order(torch.tensor([0]), torch.tensor([1]), torch.tensor([-0.2]))
    block = in_order(told, torch.zeros(1, 2), 5)
    assert block.jacobian is not None
    assert not block.residuals.any()
    assert not block.jacobian.any()
