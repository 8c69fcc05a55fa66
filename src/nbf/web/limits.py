"""How much a server takes from strangers. Without FastAPI, so that the command line can ask."""

import os
from dataclasses import dataclass

MOST_JSON = 4 << 20
"""Bytes of a request in JSON: room for twenty repainted people."""


@dataclass(frozen=True)
class Limits:
    """What one server takes and keeps."""

    megabytes: float = 32
    """Of an uploaded photo."""
    megapixels: float = 50
    """Of a photo; predicting takes some 16 bytes a pixel."""
    people: int = 20
    """Bodies fitted to one photo, the surest first."""
    waiting: int = 16
    """Requests that are answered or wait for it at one time; others are told to come again."""
    connections: int = 128
    """Open at one time; others are told the same."""
    upload_seconds: float = 60
    """Until a request has to be there; its head alone within a sixth of that."""
    answer_seconds: float = 120
    """Until a request has to be answered, waiting included, and the same until the answer has to be taken."""
    keep_minutes: float = 30
    """For which results can be asked for after they were last used."""
    keep_megabytes: float = 512
    """Of results that are kept; the oldest go first."""

    @property
    def bytes(self) -> int:
        return int(self.megabytes * 2**20)

    @property
    def pixels(self) -> int:
        return int(self.megapixels * 1e6)


def default_threads() -> int:
    """Processor threads: all that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
