"""The source distribution has what git tracks; seen from MANIFEST.in, since building one takes long."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Settings of git, hooks and services are of no use without them.
LEFT_OUT = {".ci", ".github", ".gitignore", ".pre-commit-config.yaml"}
# What setuptools adds by itself.
ADDED = {"LICENSE", "MANIFEST.in", "NOTICE", "README.md", "pyproject.toml"}


def test_every_tracked_file_is_in_the_source_distribution():
    try:
        listed = subprocess.run(
            ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    tracked = {path.split("/")[0] for path in listed.split("\0") if path}
    if "MANIFEST.in" not in tracked:
        pytest.skip("needs a checkout")
    rules = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines() if not line.startswith("#")]
    assert {rule[0] for rule in rules} == {"graft", "include", "global-exclude", "prune"}
    packed = {name for rule in rules if rule[0] in ("graft", "include") for name in rule[1:]}
    assert tracked - packed - ADDED == LEFT_OUT
    assert packed <= tracked
