"""How far a training is, in steps or in wall-clock time, and the learning rate there."""

import math
import time

from nbf.train.config import LoopConfig


class Schedule:
    """Linear warm-up, then a half cosine to zero (Loshchilov & Hutter 2017, "SGDR") over steps or over minutes.

    Time is counted while the process trains: a run that was cut off goes on where it was, not where the clock is.
    """

    def __init__(self, config: LoopConfig, clock=time.monotonic) -> None:
        self.config = config
        self.clock = clock
        self.begun = clock()
        self.phase_step = 0
        self.earlier_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of this schedule so far, earlier processes included."""
        return self.earlier_seconds + self.clock() - self.begun

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        if self.config.minutes is not None:
            return min(self.seconds / (60.0 * self.config.minutes), 1.0)
        return min(self.phase_step / self.config.steps, 1.0)

    @property
    def finished(self) -> bool:
        return self.progress >= 1.0

    @property
    def out_of_time(self) -> bool:
        """Whether `stop_after` is over although the schedule is not."""
        limit = self.config.stop_after
        return limit is not None and self.clock() - self.begun > 60.0 * limit

    def rate(self) -> float:
        """Learning rate of the next step."""
        warm = min((self.phase_step + 1) / max(self.config.warmup, 1), 1.0)
        return self.config.rate * warm * 0.5 * (1.0 + math.cos(math.pi * self.progress))

    def state_dict(self) -> dict:
        return {"phase_step": self.phase_step, "seconds": self.seconds, "finished": self.finished}

    def load_state_dict(self, state: dict) -> None:
        """Go on with an unfinished schedule; after a finished one stay at the start of a new one."""
        if not state["finished"]:
            self.phase_step, self.earlier_seconds = state["phase_step"], state["seconds"]
