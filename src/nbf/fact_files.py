"""What somebody knows of the people in a picture, written down: a JSON file.

[{"box": [120, 40, 310, 510], "sex": "female", "age": 34, "height": 1.71},
 {"box": [330, 60, 480, 505], "age_group": "child"}]
"""

from dataclasses import fields
from pathlib import Path

from nbf.errors import InputError
from nbf.known import Facts
from nbf.limits import check_age_group, checked_fact
from nbf.reading import read_json, refusing, to_numbers

_REMEDY = (
    'expected a list such as [{"box": [x0, y0, x1, y1], "sex": "female", "age": 34, "height": 1.71, "weight": 60}]'
)
_NAMES = tuple(field.name for field in fields(Facts))


def read_facts(path: Path) -> list[Facts]:
    """The people that a file knows of, each with a box where there are several.

    Raises:
        InputError: the file is missing or no such list, or says what nobody can be.
    """
    with refusing(InputError, path, "facts about people", _REMEDY):
        rows = read_json(path)
    rows = [rows] if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: {_REMEDY}, got something else")
    people = []
    for row in rows:
        strange = sorted(set(row) - set(_NAMES))
        if strange:
            raise InputError(f"{path}: {strange[0][:40]!a}: expected names out of {', '.join(_NAMES)}; {_REMEDY}")
        with refusing(InputError, path, "facts about people", _REMEDY):
            if row.get("box") is not None:
                to_numbers(row["box"], 4)
        try:
            for name, value in row.items():
                if value is not None and name == "age_group":
                    check_age_group(value)
                elif value is not None and name != "box":
                    checked_fact(name, value)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        facts = Facts(**row)
        people.append(facts)
    if len(people) > 1 and any(facts.box is None for facts in people):
        raise InputError(f"{path}: expected a box of each of several people; {_REMEDY}")
    return people
