"""Laws of fitting bodies to silhouettes and to points of the surface: known bodies are found again."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from bodies import camera, noise, people, prior, small
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.landmarks import Landmarks, place
from nbf.errors import InputError
from nbf.known import NOTHING
from nbf.nets.mirror import mirror_surface
from nbf.proxy.proxy import Proxy
from nbf.raster import interpolate, rasterize
from nbf.solve.dense import TOLERANCE, DenseTerms, shown_at, smplify_dense
from nbf.solve.fit import Fit
from nbf.solve.maps import PERSON, Fields, Outline
from nbf.solve.optimise import Optimise, Terms
from nbf.solve.region import Matches, Region, drawn_parts
from nbf.solve.smplify import STAGES, JointTerms
from nbf.solve.spheres import Spheres
from nbf.solve.surface import Surface

SIDE = 64
DIRECTIONS = torch.randn(6, 86, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
"""Of steps: two different Jacobians agree along random ones with probability zero."""


@cache
def joints() -> JointTerms:
    return JointTerms(Landmarks.keypoints(small(), "coco17"), prior(), Spheres.of(small()), STAGES[-1])


@cache
def dense() -> DenseTerms:
    return DenseTerms(joints(), Surface.spread(small(), 180), Surface.spread(small(), 60))


def proxy_of(true: Bodies) -> Proxy:
    """Joints, silhouettes and surfaces of bodies that nothing hides."""
    view, body = camera(len(true.betas)), small()
    drawn = rasterize(view.scaled(SIDE).pixels_depth(true.posed(body).vertices), body.faces, SIDE, SIDE)
    surface = interpolate(drawn, body.faces, body.surface).movedim(-1, 1)
    seen = view.project(place(joints().points, true, jacobian=False).points)
    return Proxy(
        view,
        joints=torch.cat([seen, torch.ones_like(seen[..., :1])], -1),
        silhouette=drawn.mask.double(),
        surface=surface,
    )


def shaken(state: Bodies, size: float, seed: int = 7) -> Bodies:
    return state.moved(size * noise(len(state.betas), state.freedoms, seed=seed))


def found(terms: Terms, proxy: Proxy, start: Bodies, steps: int = 12) -> Fit:
    solve = Optimise(small(), lambda proxy, known: Fit(start), terms, steps=steps)
    return Optimise(small(), solve, terms, steps=steps)(proxy, NOTHING)


def test_jacobians_are_those_of_differences() -> None:
    true = people()
    problem = dense()(proxy_of(true), NOTHING, Fit(shaken(true, 0.05)))
    state, size = shaken(true, 0.04, seed=9), 1e-6
    assert float(problem.matches.weight.sum()) > 0
    assert problem.shown is not None
    assert float(problem.shown[..., 2].sum()) > 0
    for index, block in enumerate(problem.blocks(state)):
        steps = [size * direction.expand(2, -1) for direction in DIRECTIONS]
        expected = torch.stack(
            [
                problem.blocks(state.moved(step), False)[index].residuals
                - problem.blocks(state.moved(-step), False)[index].residuals
                for step in steps
            ],
            -1,
        ) / (2 * size)
        assert block.jacobian is not None
        torch.testing.assert_close(block.jacobian @ DIRECTIONS.T, expected, atol=1e-3, rtol=1e-4)


def test_a_silhouette_is_a_part_map_without_parts() -> None:
    """The same outline, whose partners are of any part; the same distance for all parts."""
    drawn = proxy_of(people()).silhouette
    assert drawn is not None
    parts = torch.zeros(2, 25, SIDE, SIDE).double()
    parts[:, 0], parts[:, 13] = 1 - drawn, drawn
    plain, torso = Outline.of_silhouette(drawn, 96), Outline.of_parts(parts, torch.zeros(2, SIDE, SIDE).bool(), 96)
    torch.testing.assert_close(plain.points, torso.points)
    torch.testing.assert_close(plain.normals, torso.normals)
    assert (plain.part == PERSON).all()
    fields = Fields.of_silhouette(drawn).distance
    expected = Fields.of_parts(parts, torch.zeros(2, SIDE, SIDE).bool()).distance
    torch.testing.assert_close(fields, expected)
    by_any, by_torso = (
        Matches.at(people(), dense().surface, camera(), Region(Fields(fields), outline), 1.0).weight.sum(1)
        for outline in (plain, torso)
    )
    assert (by_any > 80).all()
    assert (by_torso < 0.7 * by_any).all()


def test_landmarks_are_shown_where_they_are() -> None:
    true = people(4)
    proxy, spread = proxy_of(true), dense().landmarks
    assert proxy.surface is not None
    assert proxy.silhouette is not None
    low, high = small().bounds
    shown = shown_at(proxy.surface, proxy.silhouette, small().surface[spread.index], high - low)
    seen, _, _ = spread.seen_by(true, camera(4))
    places = camera(4).project(place(spread.landmarks, true, jacobian=False).points)
    off = (shown[..., :2] - places).norm(dim=-1)
    there = shown[..., 2] > 0
    assert float(off[there & seen].max()) < 3 / SIDE
    assert float(off[there & seen].mean()) < 0.7 / SIDE
    assert float(there[seen].double().mean()) > 0.9
    assert float(there[~seen].double().mean()) < 0.6
    assert (shown[~there] == 0).all()
    nobody = shown_at(proxy.surface, 0 * proxy.silhouette, small().surface[spread.index], high - low)
    assert (nobody == 0).all()


def test_landmarks_of_mirrored_maps_are_mirrored() -> None:
    proxy = proxy_of(people())
    assert proxy.surface is not None
    assert proxy.silhouette is not None
    wanted, (low, high) = small().surface[dense().landmarks.index], small().bounds
    other = torch.cat([1 - wanted[:, :1], wanted[:, 1:]], 1)
    there = shown_at(proxy.surface, proxy.silhouette, wanted, high - low)
    back = shown_at(mirror_surface(proxy.surface), proxy.silhouette.flip(-1), other, high - low)
    back[..., 0] = back[..., 2] * (1 - back[..., 0])
    torch.testing.assert_close(back, there)
    assert 0.01 < TOLERANCE < 0.1


def errors(found: Bodies, true: Bodies) -> Tensor:
    """Mean distance of vertices less the pelvis, metres, of each person."""
    here, there = (bodies.posed(small()) for bodies in (found, true))
    return ((here.vertices - here.joints[:, :1]) - (there.vertices - there.joints[:, :1])).norm(dim=-1).mean(1)


def test_known_bodies_are_found_by_silhouette_and_surface() -> None:
    """Nearer than by joints alone, from which the search starts; and residuals never grow."""
    true = people(6)
    start, proxy = shaken(true, 0.12), proxy_of(true)
    by_joints = found(joints(), proxy, start)
    by_all = found(dense(), proxy, by_joints.bodies)
    assert by_all.report is not None
    assert (by_all.report.after <= by_all.report.before).all()
    before, plain, after = (errors(bodies, true) for bodies in (start, by_joints.bodies, by_all.bodies))
    assert float(after.mean()) < 0.5 * float(before.mean())
    assert float(after.mean()) < 0.9 * float(plain.mean())
    outside = [covered(fit.bodies, proxy) for fit in (by_joints, by_all)]
    assert float(outside[1]) > float(outside[0])
    assert float(outside[1]) > 0.9


def covered(found: Bodies, proxy: Proxy) -> Tensor:
    """Intersection over union of silhouettes."""
    assert proxy.silhouette is not None
    pixels = camera(len(found.betas)).scaled(SIDE).pixels_depth(found.posed(small()).vertices)
    mask, seen = rasterize(pixels, small().faces, SIDE, SIDE).mask, proxy.silhouette > 0.5
    return ((mask & seen).sum() / (mask | seen).sum()).double()


def test_silhouettes_alone_tell_the_girth() -> None:
    """Of bodies whose joints are the same and known, without surface coordinates."""
    true = people(6)
    proxy = replace(proxy_of(true), surface=None)
    start = Bodies(torch.zeros_like(true.betas), true.rotations, true.pelvis)
    by_joints, by_both = (found(terms, proxy, start).bodies for terms in (joints(), dense()))
    assert float(covered(by_both, proxy)) > float(covered(by_joints, proxy))
    assert float(covered(by_both, proxy)) > 0.93
    rest = [small().rest_vertices(bodies.betas) for bodies in (by_joints, by_both, true)]
    plain, better = ((shape - rest[2]).norm(dim=-1).mean() for shape in rest[:2])
    assert float(better) < float(plain)


def test_outline_of_a_body_matches_itself() -> None:
    """Where drawing and map are one, nothing is to move; where the body is thinner, its outline is to move outwards."""
    true = people(3)
    region = Region.of_parts(drawn_parts(small(), true, camera(3), SIDE))
    matches = Matches.at(true, dense().surface, camera(3), region, 1.0)
    pixels = camera(3).project(place(dense().surface.landmarks, true, jacobian=False).points)
    there = pixels.gather(1, matches.vertex[..., None].expand(-1, -1, 2))
    counted = matches.weight > 0
    assert float(counted.double().mean()) > 0.9
    step = ((matches.target - there) * region.outline.normals).sum(-1)
    assert float(step[counted].abs().max()) < 0.3 / SIDE
    away = Bodies(true.betas, true.rotations, true.pelvis * 1.1)
    small_steps = Matches.at(away, dense().surface, camera(3), region, 1.0)
    pixels = camera(3).project(place(dense().surface.landmarks, away, jacobian=False).points)
    there = pixels.gather(1, small_steps.vertex[..., None].expand(-1, -1, 2))
    step = ((small_steps.target - there) * region.outline.normals).sum(-1)
    assert float(step[small_steps.weight > 0].mean()) > 0.3 / SIDE


def test_one_person_is_found_as_in_a_batch() -> None:
    true = people(2)
    proxy, start = proxy_of(true), shaken(true, 0.05)
    together = found(dense(), proxy, start, steps=4).bodies
    for one in range(2):
        rows = slice(one, one + 1)
        alone = found(dense(), proxy[rows], start[rows], steps=4).bodies
        for name in ("betas", "rotations", "pelvis"):
            torch.testing.assert_close(getattr(alone, name), getattr(together, name)[rows], atol=1e-6, rtol=1e-6)


def test_without_a_silhouette_another_method_is_named() -> None:
    proxy = replace(proxy_of(people(1)), silhouette=None)
    with pytest.raises(InputError, match="use the method smplify"):
        found(dense(), proxy, people(1))


@pytest.mark.slow
def test_smplify_dense_starts_from_people_who_stand() -> None:
    true = people(1)
    proxy = proxy_of(true)
    fit = smplify_dense(small(), small())(proxy, NOTHING)
    assert fit.start is not None
    assert fit.covariance is not None
    assert float(covered(fit.bodies, proxy)) > 0.85
    assert float(errors(fit.bodies, true)) < 0.5 * float(errors(fit.start, true))
