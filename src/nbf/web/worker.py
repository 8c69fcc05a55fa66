"""One thread that computes, and the line before it: networks are not asked by two at a time."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from nbf.web.problems import Problem, busy

T = TypeVar("T")


class Worker:
    """Does one thing after the other; so many may be in line, and nothing runs for who has left it."""

    def __init__(self, most: int, seconds: float) -> None:
        """
        Args:
            most: requests in line at one time, the one that is answered included.
            seconds: until an answer has to be there, waiting included.
        """
        self.most, self.seconds = most, seconds
        self.waiting = 0
        self._thread = ThreadPoolExecutor(1, "nbf-worker")

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the line, from before a request is read until it is answered, so that what is read is bounded.

        Raises Problem (503) where the line is full.
        """
        if self.waiting >= self.most:
            raise busy(f"{self.waiting} requests are waiting, the most that this server lets wait")
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def do(self, work: Callable[[], T]) -> T:
        """What `work` returns, once it is its turn. Raises what it raises, and Problem (503) where time is up.

        What has begun when time is up, or when who asked has left, goes on until it is done.
        """
        try:
            async with asyncio.timeout(self.seconds):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except TimeoutError:
            message = f"no answer within {self.seconds:g} seconds; try again, or send a smaller photo"
            raise Problem(503, "too_slow", message, {"Retry-After": "10"}) from None

    def close(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
