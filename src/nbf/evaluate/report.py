"""Scores of an evaluation: what every protocol returns, how they are rounded and written down."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbf.files import replacing

Scores = dict[str, float | int]
"""Name, which ends in its unit (mm, cm, deg, rad; shares in percent), and value."""


def rounded(value: float) -> float:
    """Two decimals: more than any of these measurements carries."""
    return round(value, 2)


def percent(share: float) -> float:
    """A share as a percentage."""
    return round(100 * share, 2)


def write_json(report: Mapping[str, Any], path: Path) -> None:
    """One object: the scores, and what was measured."""
    with replacing(path) as draft:
        draft.write_text(json.dumps(report, indent=2) + "\n")
