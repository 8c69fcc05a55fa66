"""Laws of feedback: drawings that agree change nothing, others come to agree better, and nobody's worse."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from bodies import PEOPLE, camera, noise, people, small

from nbf.body.bodies import Bodies
from nbf.body.measure import height
from nbf.errors import InputError
from nbf.known import NOTHING, Known
from nbf.nets.doubt import POINTS, Doubt
from nbf.proxy.proxy import Proxy
from nbf.solve.doubted import Doubted
from nbf.solve.feedback import DifferenceTerms, Feedback, agreement
from nbf.solve.fit import Fit, Reading
from nbf.solve.region import drawn_parts
from nbf.solve.surface import Surface


@cache
def doubted() -> Doubted:
    """With a doubt network that learnt nothing, but says what is usual."""
    doubt = Doubt(small().shape_count).double()
    usual = [0.2] * 48 + [0.03] * 3 + [1.0] * small().shape_count + [0.01] * POINTS
    doubt.usual.copy_(torch.tensor(usual).log())
    return Doubted(small(), doubt)


def proxy_of(true: Bodies) -> Proxy:
    count = len(true.betas)
    return Proxy(camera(count), drawn_parts(small(), true, camera(count), 64), torch.zeros(count, 17, 3).double())


def regressed(bodies: Bodies) -> Fit:
    count = len(bodies.betas)
    joints = torch.cat([noise(count, 24, 2) * 0.1, -3 + noise(count, 24, 1)], -1)
    apart = (noise(count, 24, 3), noise(count, 24, 2), noise(count, small().shape_count), noise(count))
    return Fit(bodies, reading=Reading(joints, *(0.1 * value for value in apart)))


def corrected(proxy: Proxy, start: Bodies, known: Known = NOTHING) -> Fit:
    return Feedback(lambda proxy, known: regressed(start), doubted(), small())(proxy, known)


def test_who_agrees_stays_as_they_are() -> None:
    true = people()
    proxy = proxy_of(true)
    assert proxy.parts is not None
    assert (agreement(small(), true, camera(), proxy.parts) == 1).all()
    fit = corrected(proxy, true)
    for name in ("betas", "rotations", "pelvis"):
        assert torch.equal(getattr(fit.bodies, name), getattr(true, name))
    assert fit.joint_error is not None
    assert fit.joint_error.isfinite().all()


def test_drawings_come_to_agree() -> None:
    """Nobody's agrees less, bodies come nearer on average, each person alone as among others."""
    true = people(3)
    start = true.moved(0.1 * noise(3, true.freedoms, seed=7))
    proxy = proxy_of(true)
    assert proxy.parts is not None
    fit = corrected(proxy, start)
    before, after = (agreement(small(), bodies, camera(3), proxy.parts) for bodies in (start, fit.bodies))
    assert (after >= before).all()
    assert float(after.mean()) > float(before.mean()) + 0.1
    joints = [bodies.posed(small()).joints for bodies in (start, fit.bodies, true)]
    here, there = ((each[:, :, :2] - joints[2][:, :, :2]).norm(dim=-1).mean() for each in joints[:2])
    assert float(there) < 0.8 * float(here)
    assert fit.covariance is not None
    assert all(value.isfinite().all() for value in (fit.bodies.betas, fit.bodies.rotations, fit.covariance))


def test_nobody_in_the_map_is_no_harm() -> None:
    proxy = proxy_of(people())
    assert proxy.parts is not None
    nothing = torch.zeros_like(proxy.parts)
    nothing[:, 0] = 1
    fit = corrected(replace(proxy, parts=nothing), people())
    torch.testing.assert_close(fit.bodies.rotations, people().rotations)
    with pytest.raises(InputError, match="expected part maps"):
        corrected(replace(proxy, parts=None), people())


def test_what_is_known_counts_whatever_the_drawing() -> None:
    true = people()
    fit = corrected(proxy_of(true), true, Known(height=1.9))
    torch.testing.assert_close(
        height(small().rest_vertices(fit.bodies.betas)), torch.full((PEOPLE,), 1.9).double(), atol=0.03, rtol=0
    )


def test_jacobians_are_those_of_differences() -> None:
    true = people(1)
    start = true.moved(0.05 * noise(1, true.freedoms, seed=7))
    problem = DifferenceTerms(doubted(), Surface.spread(small(), 60))(proxy_of(true), NOTHING, regressed(start))
    assert float(problem.matches.weight.sum()) > 0
    state, size = start.moved(0.01 * noise(1, true.freedoms, seed=8)), 1e-6
    direction = noise(1, true.freedoms, seed=9)
    there, back = (problem.blocks(state.moved(sign * size * direction), False) for sign in (1, -1))
    for block, after, before in zip(problem.blocks(state), there, back, strict=True):
        assert block.jacobian is not None
        expected = (after.residuals - before.residuals) / (2 * size)
        torch.testing.assert_close(block.jacobian @ direction[0], expected, atol=1e-3, rtol=1e-4)
