"""Lifting: what is in the span of the basis comes back, mirror images, missing joints, and bodies that beat a standing
one."""

from dataclasses import replace
from functools import cache, partial

import pytest
import torch
from bodies import camera, noise, people, small
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.joints import MIRROR_COCO17
from nbf.body.landmarks import Landmarks, place
from nbf.body.measure import height
from nbf.evaluate.bench import Benchmark
from nbf.evaluate.protocol import true_joints
from nbf.geometry import Camera, align, matrix_from_axis_angle
from nbf.known import NOTHING, Known
from nbf.proxy.proxy import Proxy
from nbf.solve.lifting.akhter import LimitedProblem, Unknowns, lift_akhter
from nbf.solve.lifting.basis import JOINTS, PoseBasis, bones, mirrored
from nbf.solve.lifting.body import Lift, Lifting
from nbf.solve.lifting.camera import Seen, facing, reversed_depth, turned
from nbf.solve.lifting.limits import OF_CHAINS, held, nearest, spread_out
from nbf.solve.lifting.pursuit import Guess
from nbf.solve.lifting.ramakrishna import lift_ramakrishna, on_ellipsoid
from nbf.solve.lifting.sparse import sparse_codes
from nbf.solve.lifting.zhou import lift_zhou, one_camera, relaxed, shrunk

LIFTS = (lift_ramakrishna, lift_akhter, lift_zhou)
# What holds for ten members holds for three, in a third of the time.
QUICK = (partial(lift_ramakrishna, members=3), partial(lift_akhter, members=3), lift_zhou)
IN_MIRROR = torch.tensor([-1.0, 1.0]).double()


@cache
def basis() -> PoseBasis:
    return PoseBasis.load().to(noise(1))


def cameras(count: int) -> Tensor:
    """Of people who stand about upright and face about this way."""
    return matrix_from_axis_angle(0.3 * noise(count, 3, seed=3)) @ facing(count, noise(1))[::4]


def shown(points: Tensor, rotations: Tensor) -> Tensor:
    return (points[:, :17] @ rotations.mT)[..., :2]


def drawn(count: int) -> tuple[Tensor, Seen]:
    """41 points of people in likely poses, and what a camera far away sees of them."""
    bodies = people(count)
    landmarks = Landmarks.keypoints(small(), "coco17") + Landmarks.keypoints(small(), "smpl24")
    points = place(landmarks, bodies, jacobian=False).points
    return points, Seen.of(points[:, :17, :2], torch.ones(count, 17).double())


def proxy_of(count: int) -> tuple[Tensor, Proxy]:
    """True joints in 3D, and a proxy of the 2D ones."""
    bodies, view = people(count), camera(count)
    coco, joints = (
        place(Landmarks.keypoints(small(), kind), bodies, jacobian=False).points for kind in ("coco17", "smpl24")
    )
    seen = torch.cat([view.project(coco), torch.ones(count, 17, 1).double()], -1)
    return joints, Proxy(view, joints=seen)


def beyond(ways: Tensor) -> Tensor:
    return (ways - nearest(ways, basis().limbs)).norm(dim=-1) - basis().reach[list(OF_CHAINS)]


def missed(found: Tensor, true: Tensor) -> Tensor:
    return (align(found, true) - true).norm(dim=-1).mean(1)


def test_the_basis_is_its_own_mirror_image() -> None:
    assert torch.equal(mirrored(basis().mean), basis().mean)
    for members in (basis().deviations, basis().shapes):
        apart = torch.cdist(mirrored(members).flatten(1), members.flatten(1)).amin(1)
        assert apart.max() < 1e-3
        assert members.flatten(1).norm(dim=1).sub(1).abs().max() < 1e-2


def test_a_pose_of_one_shape_comes_back() -> None:
    """Zhou's, by any camera: as exactly as float16 and the penalty let go."""
    points = 3 * basis().shapes[[3, 20, 41]]
    seen = Seen.of(shown(points, cameras(3)), torch.ones(3, 17).double())
    found = lift_zhou(seen, basis())
    assert missed(found.points, points).max() < 1e-3
    assert torch.allclose(found.rotations, cameras(3), atol=0.02)


def test_a_pose_of_one_deviation_comes_back() -> None:
    """Ramakrishna's: the mean and a member, as large as bones of the body's squared lengths have it."""
    members = basis().deviations[[2, 30, 77]]
    own, of_mean = bones(members).flatten(1), bones(basis().mean).flatten()
    a, b = own.square().sum(1), own @ of_mean
    c = of_mean.square().sum() - basis().lengths.square().sum()
    points = basis().mean + ((-b + (b.square() - a * c).sqrt()) / a)[:, None, None] * members
    seen = Seen.of(shown(points, cameras(3)), torch.ones(3, 17).double())
    found = lift_ramakrishna(seen, basis(), members=1)
    assert missed(found.points, points).max() < 0.02
    assert bones(found.points).square().sum((1, 2)) == pytest.approx(basis().lengths.square().sum().expand(3), rel=1e-3)


def test_the_proximal_operator_is_the_plain_one() -> None:
    """Singular values less their projection onto an L1 ball, against it by sorting (Duchi et al. 2008, figure 1)."""
    matrices = noise(200, 2, 3)
    matrices[:20, 1] = 2 * matrices[:20, 0]
    matrices[20:30] = 0
    matrices[30:40] = torch.eye(2, 3).double()
    u, s, vt = torch.linalg.svd(matrices, full_matrices=False)
    expected = []
    for values in s:
        sums = (values.cumsum(0) - 0.8) / torch.tensor([1.0, 2.0])
        threshold = sums[int((values > sums).sum()) - 1].clamp_min(0)
        ball = values if values.sum() <= 0.8 else (values - threshold).clamp_min(0)
        expected.append(values - ball)
    assert torch.allclose(shrunk(matrices, 0.8), u @ torch.diag_embed(torch.stack(expected)) @ vt, atol=1e-7)


def test_the_relaxation_ends_in_its_minimum() -> None:
    _, seen = drawn(2)
    around, penalty = seen.about_each(basis().shapes), 0.02

    def objective(matrices: Tensor) -> Tensor:
        picture = torch.einsum("bkij,bkpj->bpi", matrices, around)
        return seen.missed(picture) / 2 + penalty * torch.linalg.svdvals(matrices)[..., 0].sum(1)

    found = relaxed(seen, around, penalty)
    least = objective(found)
    for seed in range(30):
        away = noise(*found.shape, seed=seed) * (found != 0 if seed % 2 else 1)
        for size in (1e-1, 1e-2, 3e-3):
            assert (objective(found + size * away / away.norm()) >= least - 1e-6).all()
    assert (objective(0.99 * found) >= least - 1e-6).all()


def test_one_camera_of_many() -> None:
    rotations, factors = cameras(3), noise(3, 7).abs()
    matrices = factors[..., None, None] * rotations[:, None, :2]
    found, again = one_camera(matrices)
    assert torch.allclose(found, rotations)
    assert torch.allclose(again, factors)


def test_an_equality_of_squares_beside_least_squares() -> None:
    """No point of the ellipsoid is better; against many of them."""
    root, shape = noise(4, 9, 5, seed=1), noise(4, 5, 5, seed=2)
    matrix, gram = root.mT @ root, shape @ shape.mT + 0.1 * torch.eye(5).double()
    slope, pull, rest = noise(4, 5, seed=3), noise(4, 5, seed=4), torch.tensor(2.0).double()
    found = on_ellipsoid(matrix, slope, gram, pull, rest)

    def value(w: Tensor) -> Tensor:
        return (w @ matrix * w).sum(-1) / 2 - (slope[:, None] * w).sum(-1)

    assert torch.allclose(((found[:, None] @ gram)[:, 0] * found).sum(1) + 2 * (pull * found).sum(1), rest.expand(4))
    middle = -torch.linalg.solve(gram, pull)
    radius = (rest - (middle * pull).sum(1)).sqrt()
    around = torch.nn.functional.normalize(noise(4, 3000, 5, seed=5), dim=-1) * radius[:, None, None]
    others = middle[:, None] + torch.linalg.solve(torch.linalg.cholesky(gram).mT, around.mT).mT
    assert (value(others) >= value(found[:, None]) - 1e-6).all()


@pytest.mark.parametrize("positive", [False, True])
def test_sparse_codes_end_in_their_minimum(positive: bool) -> None:
    features, values = noise(3, 6, 12), noise(3, 6, seed=1)
    found = sparse_codes(features, values, 0.3, 2000, positive=positive)
    slope = (features.mT @ (features @ found[..., None] - values[..., None]))[..., 0]
    used = found != 0
    assert used.any(1).all()
    assert torch.allclose(slope[used], -0.3 * found[used].sign(), atol=1e-5)
    assert ((-slope if positive else slope.abs())[~used] <= 0.3 + 1e-5).all()
    assert not positive or (found >= 0).all()


def test_limits_know_left_from_right_and_what_nobody_does() -> None:
    points, _ = drawn(4)
    ways = held(points)
    turned_about = points @ cameras(1)[0].mT + 0.3
    assert torch.allclose(held(turned_about), ways)
    back = held(mirrored(points))
    assert torch.allclose(back[:, [1, 0, 3, 2]], ways[:, :4])
    assert (beyond(ways) < 0.1).all()
    backwards = ways.clone()
    backwards[:, 2] = torch.tensor([0.0, 0.0, -1.0, 0.0, 1.0, 0.0])  # thigh straight back, shin up before it
    assert (beyond(backwards)[:, 2] > 0.1).all()


def test_few_stand_for_all() -> None:
    samples = noise(300, 6)
    picked, reach = spread_out(samples, 40)
    assert torch.cdist(samples, picked).amin(1).max() <= reach
    assert spread_out(samples, 80)[1] < reach


def test_slopes_of_the_limited_problem() -> None:
    _, seen = drawn(2)
    chosen = torch.tensor([[0, 70, 9], [33, 5, 101]])
    state = Unknowns(cameras(2), torch.tensor([1.2, 0.9]).double(), 0.3 * noise(2, 3))
    problem = LimitedProblem(seen, basis(), Guess(chosen, state.factors, state.rotations, state.scale))
    step = noise(2, 7, seed=8)
    ahead, behind = (problem.blocks(state.moved(sign * 1e-6 * step), jacobian=False) for sign in (1, -1))
    for block, plus, minus in zip(problem.blocks(state), ahead, behind, strict=True):
        assert block.jacobian is not None
        numeric = (plus.residuals - minus.residuals) / 2e-6
        assert torch.allclose((block.jacobian @ step[:, None, :, None])[..., 0], numeric, atol=1e-5)


def test_turning_finds_the_way_back() -> None:
    points, _ = drawn(2)
    about = points[:, :17] - points[:, :17].mean(1, keepdim=True)
    seen = Seen.of((about @ cameras(2).mT)[..., :2], torch.ones(2, 17).double())
    sized = about / seen.spread[:, None, None]
    start = matrix_from_axis_angle(0.4 * noise(2, 3, seed=9)) @ cameras(2)
    assert torch.allclose(turned(seen, sized, start, 20), cameras(2), atol=1e-5)
    flipped = reversed_depth(about, cameras(2))
    assert torch.allclose(torch.linalg.det(flipped), torch.ones(2).double())


@pytest.mark.parametrize("lift", QUICK)
def test_a_batch_is_its_members_and_cameras_are_rotations(lift: Lift) -> None:
    _, seen = drawn(2)
    found = lift(seen, basis())
    assert torch.allclose(found.rotations @ found.rotations.mT, torch.eye(3).double().expand(2, 3, 3), atol=1e-6)
    assert torch.allclose(torch.linalg.det(found.rotations), torch.ones(2).double())
    for row in range(2):
        alone = lift(Seen(*(value[row : row + 1] for value in vars(seen).values())), basis())
        assert torch.allclose(alone.points[0], found.points[row], atol=1e-6)


@pytest.mark.parametrize("lift", QUICK)
def test_a_mirror_image_mirrors_the_result(lift: Lift) -> None:
    _, seen = drawn(2)
    back = replace(seen, points=seen.points[:, list(MIRROR_COCO17)] * IN_MIRROR)
    there, here = lift(back, basis()), lift(seen, basis())
    # In float64, but bases are mirror images of each other only as far as float16 goes.
    assert (there.points - mirrored(here.points)).norm(dim=-1).max() < 5e-3


@pytest.mark.parametrize("lift", QUICK)
def test_what_is_not_seen_does_not_count(lift: Lift) -> None:
    points, seen = drawn(2)
    weights = torch.ones(2, 17).double()
    weights[:, 9:11] = 0
    places = points[:, :17, :2].clone()
    one = lift(Seen.of(places, weights), basis())
    places[:, 9:11] += 7.0
    assert torch.equal(lift(Seen.of(places, weights), basis()).points, one.points)
    assert not torch.allclose(lift(seen, basis()).points, one.points)


def test_all_lifts_beat_the_mean_pose() -> None:
    points, seen = drawn(6)
    mean = missed(basis().mean.expand(6, -1, -1), points).mean()
    for lift in LIFTS:
        assert missed(lift(seen, basis()).points, points).mean() < 0.9 * mean


@pytest.mark.slow
@pytest.mark.parametrize("lift", LIFTS)
def test_bodies_beat_the_one_that_stands(lift: Lift) -> None:
    joints, proxy = proxy_of(2)
    method = Lifting(small(), lift)
    fit = method(proxy, NOTHING)
    smpl = Landmarks.keypoints(small(), "smpl24")
    stands, found = (
        place(smpl, bodies, jacobian=False).points for bodies in (method.standing(proxy, NOTHING).bodies, fit.bodies)
    )
    assert missed(found, joints).mean() < 0.85 * missed(stands, joints).mean()
    seen = place(method.coco, fit.bodies, jacobian=False).points
    assert proxy.joints is not None
    assert (proxy.camera.project(seen) - proxy.joints[..., :2]).norm(dim=-1).mean() < 0.015
    assert fit.covariance is not None
    assert fit.joint_error is not None
    assert fit.shape_covariance is not None
    assert fit.start is not None
    assert fit.report is not None


@pytest.mark.slow
def test_bodies_of_the_benchmark_beat_the_mean_pose() -> None:
    """Of drawn people from true joints, each method's bodies."""
    body = load_body("anny24", "small")
    people_of = next(Benchmark.load("studio").groups(20)).batch
    true = Bodies.placed(body, *(people_of[name] for name in ("betas", "rotations", "translation")))
    view = Camera(people_of["focal"], people_of["center"]).scaled(1 / 256)
    proxy = Proxy(view, joints=true_joints(body, true, view))
    joints = people_of["joints_3d"]
    mean = missed(PoseBasis.load().mean[JOINTS].expand_as(joints), joints).mean()
    for lift in LIFTS:
        assert missed(Lifting(body, lift)(proxy, NOTHING).bodies.posed(body).joints, joints).mean() < 0.9 * mean


@pytest.mark.parametrize("lift", QUICK)
def test_nothing_seen_is_a_body_that_stands(lift: Lift) -> None:
    _, proxy = proxy_of(2)
    assert proxy.joints is not None
    blind = proxy.joints.clone()
    blind[0, :, 2] = 0
    blind[1, 3:, 2] = 0
    fit = Lifting(small(), lift)(replace(proxy, joints=blind), NOTHING)
    for value in (fit.bodies.betas, fit.bodies.rotations, fit.bodies.pelvis, fit.covariance):
        assert value is not None
        assert value.isfinite().all()
    assert fit.bodies.pelvis[0, 2] > 1
    assert (fit.bodies.rotations[0, 0] - torch.diag(torch.tensor([1.0, -1.0, -1.0]))).abs().max() < 0.3


def test_what_is_known_holds() -> None:
    _, proxy = proxy_of(1)
    solve = Lifting(small(), lift_ramakrishna)
    tall = solve(proxy, Known(height=1.9))
    assert float(height(small().rest_vertices(tall.bodies.betas))) == pytest.approx(1.9, abs=0.02)
    child = solve(proxy, Known(age_group="child"))
    assert float(height(small().rest_vertices(child.bodies.betas))) < 1.5
    assert child.bodies.pelvis[0, 2] < tall.bodies.pelvis[0, 2]
