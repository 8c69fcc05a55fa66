"""Scores of an evaluation: what every protocol returns, how they are rounded and written down."""

import json
from pathlib import Path

Scores = dict[str, float | int]
"""Name, which ends in its unit (mm, cm, deg; shares in percent), and value."""


def rounded(value: float) -> float:
    """Two decimals: more than any of these measurements carries."""
    return round(value, 2)


def percent(share: float) -> float:
    """A share as a percentage."""
    return round(100 * share, 2)


def write_json(scores: Scores, path: Path) -> None:
    """One flat object."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(scores, indent=2) + "\n")
