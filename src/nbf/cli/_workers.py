"""Photos shared among processes, which take a few at a time of those that are left."""

import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from nbf.cli._results import Outcome, shown
from nbf.files import Claim
from nbf.web.limits import default_threads

SHARE = 16
"""Photos that a process takes at once, at most: as many as are on their way in it together."""
_TURNS = 4
"""Shares of each process, at least, so that all end at about the same time."""

Work = Callable[[Sequence[Claim]], Iterator[Outcome]]
"""What becomes of some photos, in their order."""
_work: Work | None = None
"""Of a process that takes shares."""


def shared(todo: Sequence[Claim], make: Callable[[], Work], workers: int) -> Generator[Outcome, None, None]:
    """What becomes of each photo, in their order, by the work that so many processes `make` when they begin.

    When a process dies, others begin anew, and what was not done goes to one process, one photo at a time: the photo
    with which a process dies then has failed.
    """
    size = min(SHARE, -(-len(todo) // (_TURNS * workers)))
    shares = (range(start, min(start + size, len(todo))) for start in range(0, len(todo), size))
    early: dict[int, Outcome] = {}
    following = 0
    for share, outcomes in _ended(shares, todo, make, workers):
        early.update(zip(share, outcomes, strict=True))
        while following in early:
            yield early.pop(following)
            following += 1


def _ended(
    shares: Iterable[range], todo: Sequence[Claim], make: Callable[[], Work], workers: int, *, again: bool = False
) -> Generator[tuple[range, list[Outcome]], None, None]:
    """What became of each share, as they end. Those done `again` are of one photo each."""
    left = deque(shares)
    while left:
        pool = ProcessPoolExecutor(
            min(workers, len(left)),
            # Not forked: networks and threads of the parent do not come along.
            get_context("spawn"),
            initializer=_begin,
            initargs=(max(1, default_threads() // workers), make),
        )
        running: dict[Future[list[Outcome]], range] = {}
        lost: list[range] = []
        try:
            while (left or running) and not lost:
                try:
                    while left and len(running) < workers:
                        running[pool.submit(_done, [todo[i] for i in left[0]])] = left[0]
                        left.popleft()
                except BrokenProcessPool:
                    if not running:
                        break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    share = running.pop(future)
                    try:
                        outcomes = future.result()
                    except BrokenProcessPool:
                        lost.append(share)
                    else:
                        yield share, outcomes
            lost += running.values()
        finally:
            pool.shutdown(cancel_futures=True)
        if again:
            yield from ((share, [Outcome(_died(todo[share.start]))]) for share in lost)
        else:
            yield from _ended([range(i, i + 1) for share in lost for i in share], todo, make, 1, again=True)


def _died(claim: Claim) -> str:
    return f"{shown(claim.source)}: the process died twice; is memory short? try fewer --workers, or a smaller photo"


def _begin(threads: int, make: Callable[[], Work]) -> None:
    """In a new process, before torch is there, which reads this when it is loaded."""
    global _work
    os.environ["OMP_NUM_THREADS"] = str(threads)
    _work = make()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _done(some: Sequence[Claim]) -> list[Outcome]:
    """In another process: work that Ctrl-C ends, as it does in the parent."""
    assert _work is not None  # as `_begin` has made it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return list(_work(some))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
