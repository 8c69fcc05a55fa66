"""The parts of a batch, done by workers of Ray: the only file that knows Ray.

Ray Data streams the numbers of parts to a pool of actors, each a `Worker` with a predictor of its own, starts an actor
anew where its process died, and gives its part to another. Nothing else is asked of it: photos are read and rows are
written by the workers, so neither passes through Ray's store, and what Ray does twice is there once.
"""

import json
import logging
import os
import re
import secrets
import socket
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from nbf.arguments import first_line
from nbf.batch.job import Job, tidy
from nbf.batch.worker import Done, Worker, load
from nbf.errors import InputError, NbfError

_WAIT = 10.0
"""Seconds in which a cluster answers."""


def run(
    output: str,
    parts: Sequence[int],
    *,
    workers: int | None = None,
    cpus: int = 1,
    address: str | None = None,
    load: Callable[[Job], Any] = load,
) -> Generator[Done]:
    """Do parts of the batch that was begun in `output`, in any order; each, once it is there.

    Args:
        workers: how many there are; None for as many as there are CPUs for.
        cpus: CPUs of each worker, and its threads.
        address: of a Ray cluster, "auto" for the one that this machine is of; None starts Ray here, for as long as the
            run takes: it listens to nobody without a token, has no dashboard and reports to nobody.
        load: what makes a worker's predictor.

    Raises:
        InputError: Ray is not installed or there is no cluster; a worker cannot do its work or write its results.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray listens to the whole network, and would do what anybody says. It reads these when it is imported.
    if address is None and "ray" not in sys.modules:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
        import ray.data
        from ray.exceptions import RayError
    except ImportError as error:
        raise InputError(
            "nbf batch needs ray, which is not installed: pip install 'neural-body-fitting[cluster]'"
        ) from error
    with _connected(ray, workers, cpus, address):
        count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // cpus)
        try:
            yield from _streamed(ray, output, parts, min(count, len(parts)), cpus, load)
            tidy(output)
        except RayError as error:
            why = first_line(error)
            raise InputError(f"the workers stopped ({why}); run the same command to go on") from error


class Actor:
    """A worker, as Ray Data calls it: with batches of one part."""

    def __init__(self, output: str, cpus: int, load: Callable[[Job], Any]) -> None:
        self._worker = Worker(output, cpus, load)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What became of the part, as JSON; errors as well, since Ray writes its own advice into those it carries."""
        (number,) = batch["part"]
        try:
            result = vars(self._worker.do(int(number)))
        except NbfError as error:
            result = {"error": str(error)}
        except Exception as error:
            what = "results cannot be written" if isinstance(error, OSError) else "the workers stopped"
            result = {
                "error": f"{what} ({type(error).__name__}: {error}); mend that, then run the same command to go on"
            }
        return {"result": np.array([json.dumps(result)])}


def _streamed(
    ray: Any, output: str, parts: Sequence[int], workers: int, cpus: int, load: Callable[[Job], Any]
) -> Iterator[Done]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # a part may take long
    # One block a part: what is retried is a part.
    numbers = ray.data.from_items([{"part": number} for number in parts], override_num_blocks=len(parts))
    # No queues at actors: at the end they would wait for one while others are idle.
    pool = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1)
    # Which starts actors that died, and their tasks, again without end.
    done = numbers.map_batches(
        Actor, fn_constructor_args=(output, cpus, load), batch_size=1, compute=pool, num_cpus=cpus
    )
    for row in done.iter_rows():
        result = json.loads(row["result"])
        if "error" in result:
            raise InputError(result["error"])
        yield Done(**result)


@contextmanager
def _connected(ray: Any, workers: int | None, cpus: int, address: str | None) -> Iterator[None]:
    if ray.is_initialized():  # by whoever calls
        yield
        return
    # "local": otherwise it would join a cluster that this machine happens to be of.
    options: dict[str, Any] = {"address": address or "local", "log_to_driver": False, "logging_level": logging.ERROR}
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if address is None:
        # None for as many CPUs as a container has, where this is one.
        options |= {"num_cpus": None if workers is None else workers * cpus, "include_dashboard": False}
    try:
        if address is not None and (match := re.fullmatch(r"(?:ray://)?([^/]+):(\d+)", address)):
            # Ray would wait for minutes.
            socket.create_connection((match[1].strip("[]"), int(match[2])), _WAIT).close()
        ray.init(**options)
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        where = "Ray cannot be started here" if address is None else f"{address}: no Ray cluster answers"
        raise InputError(f"{where} ({first_line(error)}); see docs/batch.md") from error
    try:
        yield
    finally:
        ray.shutdown()
