"""Laws of refining a fitter's estimate: deviations, doubts, the most likely body, and how sure it is."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from bodies import PEOPLE, camera, generator, noise, people, small
from torch import Tensor

from nbf.body.bodies import TURNS, Bodies
from nbf.body.joints import COCO17, MIRROR_SMPL24, mirror_rotations, world_rotations
from nbf.body.landmarks import Landmarks, place
from nbf.body.measure import height
from nbf.body.parts import NAMES, merge_labels, merge_probabilities
from nbf.geometry.spread import mean_length
from nbf.known import NOTHING, Known
from nbf.nets.doubt import POINTS, Clues, Doubt
from nbf.nets.mean_body import UPRIGHT
from nbf.nets.mirror import in_sides
from nbf.proxy.proxy import Proxy
from nbf.raster import rasterize
from nbf.solve.deviation import deviation, mirror_deviation, other_slopes, turn_slopes
from nbf.solve.doubted import Doubted, DoubtedProblem
from nbf.solve.estimate import Estimate
from nbf.solve.fit import Fit, Reading
from nbf.solve.levenberg import cost, normal_equations, solve
from nbf.solve.optimise import Optimise
from nbf.solve.shape import Shaped
from nbf.solve.uncertainty import PartVisibility, joint_sigmas, part_visibility, pixel_covariances

FREEDOMS = 86


@cache
def doubted() -> Doubted:
    """With a doubt network that learnt nothing, but says what is usual."""
    doubt = Doubt(small().shape_count).double()
    usual = [0.2] * 48 + [0.03] * 3 + [1.0] * small().shape_count + [0.01] * POINTS
    doubt.usual.copy_(torch.tensor(usual).log())
    return Doubted(small(), doubt)


def shaken(state: Bodies, size: float = 0.1, seed: int = 7) -> Bodies:
    return state.moved(size * noise(len(state.betas), state.freedoms, seed=seed))


def projected(state: Bodies) -> Tensor:
    """Where the detected points of bodies are, in crop sides."""
    return camera(len(state.betas)).project(place(doubted().points, state, jacobian=False).points)


def estimate(start: Bodies, true: Bodies, noise_root: float = 100.0) -> Estimate:
    """Off by some 0.2 rad a joint and a deviation of shape; detections of the truth."""
    count = len(start.betas)
    error_root = torch.eye(FREEDOMS).double().repeat(count, 1, 1) * 5.0
    error_root[:, 75:, 75:] /= 5.0
    root = torch.eye(2 * POINTS).double().repeat(count, 1, 1) * noise_root
    return Estimate(start, camera(count), error_root, doubted().points, projected(true), root)


def said(state: Bodies, seed: int = 3) -> tuple[Proxy, Fit]:
    """What networks might have seen and said of bodies."""
    count = len(state.betas)
    seen = 2 * projected(shaken(state, 0.03, seed)) - 1
    joints = torch.cat([seen[:, 17:], -3 + noise(count, 24, 1, seed=seed)], -1)
    keypoints = torch.cat([seen[:, :17], torch.full((count, 17, 1), 0.8).double()], -1)
    apart = (noise(count, 24, 3), noise(count, 24, 2), noise(count, small().shape_count), noise(count))
    parts = torch.softmax(noise(count, 25, 64, 64, seed=seed), 1)
    reading = Reading(joints, *(0.1 * value for value in apart))
    return Proxy(camera(count), parts, in_sides(keypoints)), Fit(state, reading=reading)


def refine(proxy: Proxy, fit: Fit) -> Fit:
    return Optimise(small(), lambda proxy, known: fit, doubted())(proxy, NOTHING)


def shaped(proxy: Proxy, fit: Fit, known: Known = NOTHING) -> Fit:
    return Shaped(small(), Optimise(small(), lambda proxy, known: fit, doubted()), doubted())(proxy, known)


def searched(estimate: Estimate, *, steps: int = 12, **known) -> Bodies:
    """The most likely bodies, given an estimate and what is known; as `DoubtedProblem` takes it."""
    problem = DoubtedProblem(small(), estimate, doubted().prior, **known)
    return solve(problem, estimate.start, steps=steps)[0]


def mirrored(state: Bodies) -> Bodies:
    return Bodies(state.betas, mirror_rotations(state.rotations), state.pelvis * state.pelvis.new_tensor([-1, 1, 1]))


def differences(values, state: Bodies, size: float = 1e-5) -> Tensor:
    """Derivative of values (b, n) by steps of the state, by central differences; (b, n, p)."""
    steps = [size * row.expand(len(state.betas), -1) for row in torch.eye(FREEDOMS).double()]
    return torch.stack([values(state.moved(step)) - values(state.moved(-step)) for step in steps], -1) / (2 * size)


def test_nobody_deviates_from_themselves() -> None:
    state = people()
    assert float(deviation(state, state, camera()).abs().max()) < 1e-7
    assert float(deviation(state, shaken(state), camera()).abs().max()) > 0.05


@pytest.mark.parametrize("size", [0.0, 0.1, 0.5])
def test_jacobian_of_deviations_is_that_of_differences(size: float) -> None:
    start = people()
    state = shaken(start, size)
    expected = differences(lambda moved: deviation(start, moved, camera()), state)
    turns = deviation(start, state, camera())[:, TURNS].unflatten(1, (24, 3))
    found = torch.zeros_like(expected)
    found[:, TURNS, TURNS] = turn_slopes(turns, world_rotations(state.rotations))
    found[:, range(72, FREEDOMS), range(72, FREEDOMS)] = other_slopes(camera(), FREEDOMS)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_deviation_of_mirror_images_is_the_mirrored_deviation() -> None:
    start, state = people(), shaken(people(), 0.2)
    error = deviation(start, state, camera())
    torch.testing.assert_close(mirror_deviation(error), deviation(mirrored(start), mirrored(state), camera()))
    torch.testing.assert_close(mirror_deviation(mirror_deviation(error)), error)


def test_jacobians_of_estimates_are_those_of_differences() -> None:
    start = people()
    given = replace(
        estimate(start, shaken(start)), error_root=noise(PEOPLE, FREEDOMS, FREEDOMS), noise_root=noise(PEOPLE, 82, 82)
    )
    state = shaken(start, 0.05, seed=9)
    for index, block in enumerate(given.blocks(state)):
        expected = differences(lambda moved, i=index: given.blocks(moved, False)[i].residuals[:, 0], state)
        assert block.jacobian is not None
        torch.testing.assert_close(block.jacobian[:, 0], expected, atol=1e-5, rtol=1e-5)


def test_estimate_counts_standard_deviations_of_doubts() -> None:
    start = people()
    doubts = doubted().doubt(Clues(*(noise(PEOPLE, *size) for size in ((24, 5), (17, 2), (24, 2), (3,)))))
    for with_keypoints, counted in ((True, slice(0, 82)), (False, slice(34, 82))):
        seen = projected(start) + 0.01
        told = torch.full((PEOPLE,), with_keypoints)
        given = Estimate.make(doubted().doubt, doubts, start, camera(), doubted().points, seen, told)
        found = given.noise(place(doubted().points, start, jacobian=False)).residuals[:, 0]
        expected = torch.zeros(PEOPLE, 82).double()
        expected[:, counted] = -0.01 / doubts.noise().exp()[:, counted]
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_who_has_no_keypoints_is_judged_alike_whoever_else_is_there() -> None:
    seen, fit = said(people())
    assert seen.joints is not None
    joints = seen.joints.clone()
    joints[1] = 0
    mixed = doubted().estimate(replace(seen, joints=joints), fit)
    alone = doubted().estimate(replace(seen, joints=None), fit)
    torch.testing.assert_close(mixed.noise_root[1], alone.noise_root[1])
    assert float(mixed.noise_root[0, :34].abs().max()) > 0
    assert float(mixed.noise_root[1, :34].abs().max()) == 0


def test_mirror_images_are_doubted_alike() -> None:
    doubt = Doubt(small().shape_count).double()
    for index, parameter in enumerate(doubt.parameters()):
        torch.nn.init.normal_(parameter, std=0.1, generator=generator(index))
    told = Clues(*(noise(PEOPLE, *size) for size in ((24, 5), (17, 2), (24, 2), (3,))))
    for back, there in zip(doubt(told.mirrored()), doubt(told).mirrored()):
        torch.testing.assert_close(back, there)
    assert float(doubt(told).turns.detach().std()) > 0.01


def test_refinement_never_makes_residuals_larger() -> None:
    refined = refine(*said(people(6)))
    assert refined.report is not None
    assert (refined.report.after <= refined.report.before).all()
    assert (refined.report.after < 0.9 * refined.report.before).any()


def test_one_person_is_refined_as_in_a_batch() -> None:
    proxy, fit = said(people())
    together = refine(proxy, fit)
    for one in range(PEOPLE):
        rows = slice(one, one + 1)
        assert fit.reading is not None
        reading = Reading(*(value[rows] for value in fit.reading))
        refined = refine(proxy[rows], Fit(fit.bodies[rows], reading=reading))
        for name in ("betas", "rotations", "pelvis"):
            torch.testing.assert_close(
                getattr(refined.bodies, name), getattr(together.bodies, name)[rows], atol=1e-6, rtol=1e-6
            )
        assert together.covariance is not None
        torch.testing.assert_close(refined.covariance, together.covariance[rows], atol=1e-6, rtol=1e-4)


def test_poses_follow_likely_shapes() -> None:
    """Another size at another distance looks the same; how sure the shape is says the shape alone."""
    proxy, fit = said(people())
    found, before = shaped(proxy, fit, Known(age=4.0)), refine(proxy, fit)
    tall = [height(small().rest_vertices(state.bodies.betas)) for state in (found, before)]
    assert (tall[0] < 1.3).all()
    assert (tall[1] > 1.4).any()
    points = [projected(state.bodies) for state in (found, before)]
    assert float((points[0] - points[1]).norm(dim=-1).mean()) < 0.02
    assert (found.bodies.pelvis[:, 2] < before.bodies.pelvis[:, 2])[tall[1] > 1.4].all()
    assert found.covariance is not None
    assert found.shape_covariance is not None
    torch.testing.assert_close(found.covariance[:, 75:, 75:], found.shape_covariance)
    assert (torch.linalg.eigvalsh(found.covariance) > 0).all()
    assert found.joint_error is not None
    assert (found.joint_error[:, 1:] > 0).all()


def test_shapes_of_heights_that_are_known_have_them() -> None:
    proxy, fit = said(people())
    tall = torch.tensor([1.1, 1.75, torch.nan, 1.9])[:PEOPLE]
    known = ~tall.isnan()
    found = height(small().rest_vertices(shaped(proxy, fit, Known(height=tall)).bodies.betas))
    assert float((found - tall)[known].abs().max()) < 0.02


def test_one_person_is_shaped_as_in_a_batch() -> None:
    proxy, fit = said(people())
    assert fit.reading is not None
    together = shaped(proxy, fit)
    for one in range(PEOPLE):
        rows = slice(one, one + 1)
        alone = shaped(proxy[rows], Fit(fit.bodies[rows], reading=Reading(*(value[rows] for value in fit.reading))))
        for name in ("betas", "rotations", "pelvis"):
            ours, theirs = getattr(alone.bodies, name), getattr(together.bodies, name)[rows]
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        assert together.covariance is not None
        torch.testing.assert_close(alone.covariance, together.covariance[rows], atol=1e-5, rtol=1e-4)


def test_without_evidence_the_estimate_stays() -> None:
    start = people()
    given = estimate(start, shaken(start), noise_root=0.0)
    found, report = solve(given, start)
    torch.testing.assert_close(report.after, report.before)
    assert float(deviation(start, found, camera()).abs().max()) < 1e-7


def test_exact_detections_are_met() -> None:
    true = people()
    start = shaken(true, 0.08)
    refined = searched(estimate(start, true, noise_root=1e4), steps=40)
    before, after = ((projected(state) - projected(true)).norm(dim=-1) for state in (start, refined))
    assert float(before.mean()) > 0.02
    assert float(after.max()) < 1e-3


def test_known_height_is_met() -> None:
    start = people(3)
    tall = height(small().rest_vertices(start.betas)) + torch.tensor([0.08, -0.05, torch.nan]).double()
    refined = searched(estimate(start, start), heights=tall)
    found = height(small().rest_vertices(refined.betas))
    assert float((found - tall)[:2].abs().max()) < 0.01


def test_known_shapes_pull_towards_their_mean() -> None:
    start, mean = people(), torch.full((PEOPLE, small().shape_count), 0.5)
    root = 10 * torch.eye(small().shape_count).repeat(PEOPLE, 1, 1)
    root[-1] = 0  # of whom nothing is known
    refined = searched(estimate(start, start), shape=(mean, root))
    nearer = (refined.betas - mean).norm(dim=1) < 0.5 * (start.betas - mean).norm(dim=1)
    assert nearer.tolist() == [True] * (PEOPLE - 1) + [False]


def test_known_keypoints_are_approached() -> None:
    start = people()
    elsewhere = projected(shaken(start, 0.06))[:, :17]
    marked = torch.cat([elsewhere, torch.ones(PEOPLE, 17, 1).double()], -1)
    refined = searched(estimate(start, start, 10.0), marked=marked)
    before, after = ((projected(state)[:, :17] - elsewhere).norm(dim=-1).mean(1) for state in (start, refined))
    assert (after < 0.5 * before).all()


def test_pinned_joints_are_met_wherever_they_were_seen() -> None:
    """Closer than marked ones, which may be outliers."""
    start = people()
    wrist = 9
    elsewhere = projected(start)[:, :17] + torch.tensor([0.3, 0.0]).double()
    only = torch.zeros(PEOPLE, 17, 1).double()
    only[:, wrist] = 1
    told = torch.cat([elsewhere, only], -1)
    pinned, marked = (
        searched(estimate(start, start, 10.0), pinned=told),
        searched(estimate(start, start, 10.0), marked=told),
    )
    near, far = ((projected(state)[:, wrist] - elsewhere[:, wrist]).norm(dim=-1) for state in (pinned, marked))
    assert (near < 0.02).all()
    assert (near < far).all()


def test_search_gets_as_far_as_adam() -> None:
    true = people(1)
    problem = estimate(shaken(true, 0.05), true, noise_root=20.0)
    _, report = solve(problem, problem.start, steps=40, tolerance=1e-6)
    step = torch.zeros(1, FREEDOMS, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([step], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 200)
    for _ in range(200):
        adam.zero_grad()
        cost(problem, problem.start.moved(step)).sum().backward()
        adam.step()
        schedule.step()
    twin = cost(problem, problem.start.moved(step.detach()))
    assert float(report.after / report.before) < 0.5
    torch.testing.assert_close(report.after, twin, rtol=0.02, atol=0)


def test_joints_are_as_unsure_as_their_covariance_says() -> None:
    state, root = people(), 0.1 * noise(PEOPLE, FREEDOMS, FREEDOMS)
    covariance = root @ root.mT
    joints = Landmarks.keypoints(small(), "smpl24")
    plain, more = (joint_sigmas(joints, state, some) for some in (covariance, covariance + 0.01 * torch.eye(FREEDOMS)))
    torch.testing.assert_close(joint_sigmas(joints, state, 4 * covariance), 2 * plain)
    assert (plain[:, 0] == 0).all()
    assert (plain[:, 1:] > 0).all()
    assert (more[:, 1:] > plain[:, 1:]).all()


def test_keypoints_scatter_in_the_picture_as_their_covariances_say() -> None:
    state, root, draws = people()[:1], 0.003 * noise(FREEDOMS, FREEDOMS), 4000
    keypoints, covariance = Landmarks.keypoints(small(), "coco17"), (root @ root.mT)[None]
    said = pixel_covariances(keypoints, state, camera(1), covariance)[0]
    many = Bodies(*(value.expand(draws, *value.shape[1:]) for value in (state.betas, state.rotations, state.pelvis)))
    moved = many.moved(noise(draws, FREEDOMS) @ root.mT)
    points = camera(draws).project(place(keypoints, moved, jacobian=False).points)
    for index, found in enumerate(points.unbind(1)):
        torch.testing.assert_close(torch.cov(found.T), said[index], rtol=0.1, atol=0.1 * float(said[index].trace()))
    away = points - camera(1).project(place(keypoints, state, jacobian=False).points)
    torch.testing.assert_close(away.norm(dim=-1).mean(0), mean_length(said), rtol=0.12, atol=0)


def test_a_part_is_guessed_by_map_and_keypoints_and_by_the_map_alone_without() -> None:
    nan, full = torch.nan, torch.full((1, 14), 9.0)
    seen = torch.tensor([[0.9, 0.3, 0.3, 0.3, 0.2, nan, nan] * 2])
    ends = torch.tensor([[0.9, 0.9, 0.5, nan, nan, 1.0, nan] * 2])
    guessed = PartVisibility(full, seen, full, full, ends).guessed()
    assert guessed.tolist() == [[False, False, True, False, True, True, True] * 2]


def test_scores_of_a_part_are_those_at_its_ends() -> None:
    state, scores = people(), torch.full((PEOPLE, 17), 0.5).double()
    scores[0], scores[1, COCO17.index("left_wrist")] = 0, 0.9
    within = torch.zeros(PEOPLE, 64, 64, dtype=torch.bool)
    ends = part_visibility(small(), state.posed(small()).vertices, camera(), seen_parts(state), scores, within).ends
    assert ends[0].isnan().all()
    expected = [{"left_hand": 0.9, "left_lower_arm": 0.7}.get(name, 0.5) for name in NAMES[14][1:]]
    assert ends[1].tolist() == pytest.approx(expected)


def test_mirror_images_are_as_sure() -> None:
    state = people()
    sign = mirror_deviation(torch.ones(1, FREEDOMS).double())[0]
    order = [3 * joint + axis for joint in MIRROR_SMPL24 for axis in range(3)] + list(range(72, FREEDOMS))
    root = 0.1 * noise(PEOPLE, FREEDOMS, FREEDOMS)
    covariance = root @ root.mT
    flipped = covariance[:, order][:, :, order] * sign * sign[:, None]
    joints = Landmarks.keypoints(small(), "smpl24")
    torch.testing.assert_close(
        joint_sigmas(joints, mirrored(state), flipped),
        joint_sigmas(joints, state, covariance)[:, list(MIRROR_SMPL24)],
        rtol=0.05,
        atol=1e-3,
    )


def seen_parts(state: Bodies, side: int = 64) -> Tensor:
    """Part maps of bodies that nothing hides."""
    pixels = camera(len(state.betas)).scaled(side).pixels_depth(state.posed(small()).vertices)
    drawn = rasterize(pixels, small().faces, side, side)
    labels = torch.where(drawn.mask, small().face_parts[drawn.face.clamp_min(0)], 0)
    return torch.nn.functional.one_hot(labels, 25).movedim(-1, 1).double()


def test_person_in_full_view_is_seen_and_not_cut() -> None:
    state = people()
    within, scores = torch.zeros(PEOPLE, 64, 64, dtype=torch.bool), torch.ones(PEOPLE, 17).double()
    shown = part_visibility(small(), state.posed(small()).vertices, camera(), seen_parts(state), scores, within)
    seen, cut = (value[value.isfinite()] for value in (shown.seen, shown.cut))
    torch.testing.assert_close(seen, torch.ones_like(seen))
    assert (cut == 0).all()


def test_half_of_a_person_beyond_the_photo_is_cut() -> None:
    upright = torch.eye(3).double().repeat(1, 24, 1, 1)
    upright[:, 0] = UPRIGHT.double()
    state = Bodies(torch.zeros(1, small().shape_count).double(), upright, torch.tensor([[0.0, 0.0, 3.0]]).double())
    beyond = torch.zeros(1, 64, 64, dtype=torch.bool)
    beyond[:, :, 32:] = True
    parts = seen_parts(state)
    vertices, scores = state.posed(small()).vertices, torch.zeros(1, 17).double()
    shown = part_visibility(small(), vertices, camera(1), parts, scores, beyond)
    seen, cut = shown.seen[shown.seen.isfinite()], shown.cut[shown.cut.isfinite()]
    torch.testing.assert_close(seen + cut, torch.ones_like(seen))
    assert float(cut.mean()) == pytest.approx(0.5, abs=0.05)
    middle = cut[(cut > 0.1) & (cut < 0.9)]  # head and trunk
    assert len(middle) > 0
    torch.testing.assert_close(middle, torch.full_like(middle, 0.5), atol=0.07, rtol=0)
    nobody = torch.zeros_like(parts)
    nobody[:, 0] = 1
    hidden = part_visibility(small(), vertices, camera(1), nobody, scores, beyond)
    assert (hidden.seen[hidden.seen.isfinite()] == 0).all()


def test_what_parts_show_is_summed_over_the_cells_that_show_them() -> None:
    """A plain twin: all cells, one part after the other."""
    state, scores = people(), torch.ones(PEOPLE, 17).double()
    parts = torch.softmax(3 * torch.randn(PEOPLE, 25, 64, 64, generator=generator()).double(), 1)
    beyond = torch.rand(PEOPLE, 64, 64, generator=generator(1)) < 0.3
    vertices = state.posed(small()).vertices
    drawn = rasterize(camera().scaled(64).pixels_depth(vertices), small().faces, 64, 64)
    labels = merge_labels(torch.where(drawn.mask, small().face_parts[drawn.face.clamp_min(0)], 0), 14)
    merged = merge_probabilities(parts, 14)
    shown = part_visibility(small(), vertices, camera(), parts, scores, beyond)
    for person in range(PEOPLE):
        for part in range(14):
            here = labels[person] == part + 1
            outside = beyond[person][here].double()
            values = merged[person][:, here]
            assert float(shown.cells[person, part]) == int(here.sum())
            for found, expected in (
                (shown.seen, values[part + 1] * (1 - outside)),
                (shown.cut, outside),
                (shown.entropy, -(values * values.log()).sum(0)),
            ):
                torch.testing.assert_close(found[person, part], expected.mean(), equal_nan=True)


def test_searches_end_with_the_curvature_of_where_they_end() -> None:
    given = estimate(people(), shaken(people()))
    problem = DoubtedProblem(small(), given, doubted().prior)
    found, report = solve(problem, given.start, steps=3)
    torch.testing.assert_close(report.curvature, normal_equations(problem, found)[0])
    assert float((report.curvature - normal_equations(problem, given.start)[0]).abs().max()) > 1


def test_gradients_may_be_taken_of_what_follows_from_results() -> None:
    proxy, fit = said(people())
    for found in (refine(proxy, fit), shaped(proxy, fit)):
        weight = torch.ones((), dtype=torch.float64, requires_grad=True)
        assert found.covariance is not None
        (found.bodies.rotations * weight).sum().backward()
        (found.covariance * weight).sum().backward()


def test_gradients_may_be_taken_through_points_that_were_placed_without() -> None:
    points = Landmarks.keypoints(small(), "coco17")
    with torch.inference_mode():
        place(points, people())
    steps = torch.zeros(PEOPLE, FREEDOMS, dtype=torch.float64, requires_grad=True)
    place(points, people().moved(steps), jacobian=False).points.sum().backward()
    assert steps.grad is not None
    assert (steps.grad[:, TURNS] != 0).any()
