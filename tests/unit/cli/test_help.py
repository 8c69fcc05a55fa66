"""`nbf --help`: every verb once, with the first line of its docstring, those for people with photos first."""

from pathlib import Path

import pytest

from nbf import cli


def test_help_lists_every_verb_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    use, _, research = capsys.readouterr().out.partition("\nuse:\n")[2].partition("\nresearch:\n")
    of_use = ["predict", "video", "batch", "refine", "serve", "view", "export", "export-model"]
    assert [line.split()[0] for line in use.splitlines() if line] == of_use
    files = (path.stem for path in Path(cli.__file__).parent.glob("[a-z]*.py"))
    verbs = {stem.replace("_", "-") for stem in files} - {*of_use}
    listed = [line.split(maxsplit=1) for line in research.splitlines() if line.startswith("  ")]
    assert [verb for verb, _ in listed] == sorted(verbs)
    assert all(first[0].isupper() and first.endswith(".") for _, first in listed)


def test_a_new_file_is_a_verb_of_research(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("predict", "video", "batch", "refine", "serve", "view", "export", "export_model", "try_out"):
        (tmp_path / f"{verb}.py").write_text(f'"""Does {verb}.\n\nMore.\n"""\n')
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "__init__.py"))
    assert cli.main([]) == 0
    first, *_ = capsys.readouterr().out.partition("research:\n")[2].splitlines()
    assert first.split(maxsplit=1) == ["try-out", "Does try_out."]
