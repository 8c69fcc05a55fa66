"""Photos shared among processes: all done once, in their order, also where processes die."""

import re
from functools import partial
from pathlib import Path

import pytest
from shared_work import work

from nbf.cli import main
from nbf.cli._workers import shared
from nbf.files import Claim
from nbf.web.limits import default_threads


def claim(number: int, name: str, folder: Path) -> Claim:
    return Claim(folder, str(number), Path(name), {}, writes=re.compile(""), reads=set())


@pytest.mark.parametrize("dead", [(), ("always", "once")], ids=["all live", "some die"])
def test_all_are_done_in_their_order(dead: tuple[str, ...], tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(20)]
    for place, name in zip((5, 13), dead):
        names[place] = name
    todo = [claim(number, name, tmp_path) for number, name in enumerate(names)]
    outcomes = list(shared(todo, partial(partial, work, tmp_path), 2))
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert [error.split(":")[0] for error in failed] == ["always"][: len(dead)]
    assert all(outcome.people == number for number, outcome in enumerate(outcomes) if outcome.error is None)
    lines = {name: (tmp_path / name).read_text().split("\n")[:-1] for name in names}
    assert {len(lines.pop(name)) for name in dead} <= {2}
    assert all(1 <= len(tries) <= 2 for tries in lines.values())
    if not dead:
        threads = str(max(1, default_threads() // 2))
        assert all(tries == [threads] for tries in lines.values()), "once, on part of the cores"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "--workers: expected 1 or more, got 0"),
        (["--workers", "2", "--same-person"], "--workers: expected neither --same-person nor"),
        (["-", "--workers", "2"], "--workers: expected neither --same-person nor"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", *options, *[str(tmp_path)] * ("-" not in options)]) == 2
    assert message in capsys.readouterr().err
