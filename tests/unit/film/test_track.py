"""Who is whom, from frame to frame."""

import pytest
import torch
from moving import BODY, RATE, seen, swinging, together

from nbf.film.sighting import Sightings
from nbf.film.track import COAST, Tracker, of_span, spans

FRAMES = 32


def followed(people: list[list[Sightings | None]]) -> list[list[int]]:
    tracker = Tracker(BODY, RATE)
    return [tracker.follow(together(list(row), 0)) for row in zip(*people)]


def crossing(seed: int, gap: range = range(0)) -> list[list[Sightings | None]]:
    """Two who pass each other, the one behind hidden in between; in other colours."""
    one = seen(swinging(FRAMES, seed, aside=-0.8, depth=4.0, step=0.05), seed, color=1)
    other = seen(swinging(FRAMES, seed + 100, aside=0.8, depth=4.8, step=-0.05), seed + 50, color=2)
    return [
        [one[t : t + 1] for t in range(FRAMES)],
        [None if t in gap else other[t : t + 1] for t in range(FRAMES)],
    ]


@pytest.mark.parametrize("gap", [range(0), range(12, 20)])
def test_people_who_pass_each_other_stay_who_they_are(gap):
    right = 0
    for seed in range(3):
        numbers = followed(crossing(seed, gap))
        assert all(len(set(row)) == len(row) for row in numbers)
        right += numbers[-1] == numbers[0]
    assert right == 3


def test_the_order_in_which_people_are_found_does_not_matter():
    people = crossing(0)
    tracker = Tracker(BODY, RATE)
    numbers = []
    for t in range(FRAMES):
        order = [0, 1] if t % 2 else [1, 0]
        row = tracker.follow(together([people[k][t] for k in order], 0))
        numbers.append([row[order.index(0)], row[order.index(1)]])
    assert len({tuple(row) for row in numbers}) == 1


def test_tracks_begin_coast_and_end():
    somebody = seen(swinging(60, step=0.0))
    frames = [somebody[t : t + 1] for t in range(60)]
    nobody = Sightings.none(BODY.shape_count)
    long = round(COAST * RATE) + 2
    film = [nobody] * 4 + frames[:10] + [nobody] * 5 + frames[10:20] + [nobody] * long + frames[20:30] + [nobody]
    found = spans(Tracker(BODY, RATE), film)
    assert [(span.start, len(span.rows)) for span in found] == [(4, 25), (29 + long, 10)]
    assert found[0].rows == [0] * 10 + [-1] * 5 + [0] * 10
    mine = list(of_span(found[0], film[4:]))
    assert [each is None for each in mine] == [row < 0 for row in found[0].rows]


def test_who_is_found_once_is_a_mistake():
    somebody, ghost = seen(swinging(20)), seen(swinging(1, seed=3, aside=2.0, depth=9.0), color=9)
    film = [somebody[t : t + 1] for t in range(20)]
    film[7] = Sightings.joined([film[7], ghost])
    assert len(spans(Tracker(BODY, RATE), film)) == 1


def test_people_who_look_alike_are_told_apart_by_where_they_are():
    people = crossing(1)
    for row in people[1]:
        assert row is not None
        row.colors.copy_(torch.roll(row.colors, -1, -1))
    numbers = followed(people)
    assert numbers[-1] == numbers[0]
