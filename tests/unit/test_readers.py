"""Damaged files of every kind give something that can be used or an error of ours: seeded, a few of each.

`tools/fuzz.py` tries as many as one likes.
"""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from readers import READERS, verdict, write

INPUTS = 15
SECONDS = 20
MOST_MEMORY = 2 << 30


@pytest.fixture
def limits() -> Iterator[None]:
    """Too much memory raises MemoryError, and too much time an error that is none of ours."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"over {SECONDS} s")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = signal.signal(signal.SIGVTALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_MEMORY, hard))
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.filterwarnings("ignore")  # Pillow's and libtiff's
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_refused_or_can_be_used(name: str, tmp_path: Path, limits: None) -> None:
    write(name, tmp_path / "valid", None)
    assert verdict(name, tmp_path / "valid") == ("clean", "")
    found = []
    for seed in range(INPUTS):
        write(name, tmp_path / str(seed), seed)
        found.append((seed, *verdict(name, tmp_path / str(seed))))
    assert [each for each in found if each[1] not in ("clean", "clean error")] == []
    # Changes change something.
    assert any(each[1] == "clean error" for each in found)


@pytest.mark.parametrize("name", [name for name in READERS if not name.startswith(("picture", "records"))])
def test_errors_name_the_file(name: str, tmp_path: Path) -> None:
    for seed in range(5):
        write(name, tmp_path / str(seed), seed)
        what, why = verdict(name, tmp_path / str(seed))
        # Pictures in a pack are named by the photos that they were.
        assert what == "clean" or str(tmp_path / str(seed)) in why or name.startswith("pack, ")
