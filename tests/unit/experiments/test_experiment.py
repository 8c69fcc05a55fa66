"""Cases that are done are kept; files that are damaged are named."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from nbf.errors import DataError
from nbf.experiments.experiment import PRESETS, Case, Experiment, Lab, Scores, run
from nbf.experiments.report import Column, Report, Table, bars

ERRORS = {"one": torch.tensor([1.0, 2.0]), "other": torch.tensor([3.0, torch.nan])}


class Counted:
    """An experiment that counts how often each of its cases is run."""

    name = "counted"

    def __init__(self, broken: str = "") -> None:
        self.ran: list[str] = []
        self.broken = broken

    def cases(self, lab: Lab) -> Sequence[Case]:
        def work(name: str) -> Scores:
            self.ran.append(name)
            if name == self.broken:
                raise RuntimeError("broken")
            return {"error": ERRORS[name]}

        return [Case(name, lambda name=name: work(name)) for name in ERRORS]

    def report(self, results: dict[str, Scores]) -> Report:
        for name, error in ERRORS.items():
            torch.testing.assert_close(results[name]["error"], error, equal_nan=True)
        table = Table.of("Counted", [Column("error", "error")], results)
        return Report("Counted", [table], bars(table))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(PRESETS["smoke"], tmp_path)


def test_what_is_done_is_not_done_again(lab):
    counted = Counted()
    assert isinstance(counted, Experiment)
    _, seconds = run(counted, lab)
    assert counted.ran == ["one", "other"]
    assert run(counted, lab)[1] == pytest.approx(seconds)
    assert counted.ran == ["one", "other"]


def test_a_run_that_was_cut_off_goes_on(lab):
    cut = Counted(broken="other")
    with pytest.raises(RuntimeError, match="broken"):
        run(cut, lab)
    counted = Counted()
    run(counted, lab)
    assert counted.ran == ["other"]


def test_a_damaged_file_is_named(lab):
    run(Counted(), lab)
    kept = lab.out / "counted" / "cases" / "one.npz"
    for damage in (b"", b"no scores", kept.read_bytes()[:-40]):
        kept.write_bytes(damage)
        with pytest.raises(DataError, match=r"one\.npz.*delete it"):
            run(Counted(), lab)


def test_all_cases_are_handed_to_who_watches(lab):
    watched: list[str] = []

    def watch(cases: Sequence[Case]) -> Sequence[Case]:
        watched.extend(case.name for case in cases)
        return cases

    run(Counted(), lab, watch)
    assert watched == list(ERRORS)
