"""The command that feeds damaged files to every reader counts what comes of them."""

import sys

import fuzz
import pytest


def said(code: str, seconds: float = fuzz.SECONDS) -> list[tuple[str, str]]:
    return list(fuzz.watched([sys.executable, "-c", code], seconds))


def test_verdicts_are_passed_on():
    assert said("print('begin'); print('end clean\\t'); print('begin'); print('end other\\twhy')") == [
        ("clean", ""),
        ("other", "why"),
    ]


def test_a_death_amid_an_input_is_a_crash_and_silence_a_hang():
    crash = "import os; print('begin', flush=True); print('end clean\\t', flush=True); print('begin', flush=True); "
    assert [verdict for verdict, _ in said(crash + "os.abort()")] == ["clean", "crash"]
    hang = "import time; print('begin', flush=True); time.sleep(60)"
    assert said(hang, seconds=0.5) == [("hang", "over 0.5 s")]


def test_a_reader_of_valid_files_that_fails_is_no_result():
    with pytest.raises(RuntimeError, match="the valid files were not read"):
        said("raise SystemExit('the valid files were not read')")


def test_the_table_counts_every_input(capsys: pytest.CaptureFixture[str]):
    assert fuzz.main(["--inputs", "5", "--reader", "records"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["reader", "records", "all"]
    assert sum(map(int, lines[-1].split()[1:])) == 5


def test_anything_else_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fuzz, "watched", lambda command: iter([("clean", ""), ("hang", "over 20 s")]))
    assert fuzz.main(["--inputs", "2", "--reader", "records"]) == 1
