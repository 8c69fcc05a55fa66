"""What can be asked before torch is loaded is what the library takes."""

from typing import get_args

import pytest
from strangers import as_made

from nbf.errors import InputError
from nbf.given import focal_pixels
from nbf.known import Known
from nbf.limits import (
    AGE_GROUPS,
    RANGES,
    MethodName,
    check_age_group,
    check_method,
    checked_fact,
    parse_center,
    parse_focal,
)
from nbf.methods import METHODS


def test_the_table_of_methods_has_every_name():
    assert tuple(METHODS) == get_args(MethodName)
    for name in METHODS:
        check_method(name)


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", [-0.1, 0.0, 0.3, 0.31, 1.7, 2.6, 2.61, 170.0, float("nan"), float("inf"), "female"])
def test_facts(name, value):
    assert refused(lambda: checked_fact(name, value)) == refused(lambda: as_made(Known, **{name: value}))


@pytest.mark.parametrize("group", [*AGE_GROUPS, "Adult", "", "old"])
def test_age_groups(group):
    assert refused(lambda: check_age_group(group)) == refused(lambda: Known(age_group=group))


@pytest.mark.parametrize(
    "text", ["28mm", " 28 MM", "4.9mm", "5mm", "2000mm", "2001mm", "mm", "28mmm", "-28mm", "1e3mm", "exif"]
)
def test_focal_lengths_in_millimetres_need_no_picture(text):
    assert refused(lambda: parse_focal(text)) == refused(lambda: focal_pixels(text, 640, 480, 500.0))


def test_places_in_pictures():
    assert parse_center("960,540.5") == (960, 540.5)
    assert parse_center(" -20 , 1e3") == (-20, 1000)
    for text in ("", "960", "960,540,1", "960x540", "960,nan", "inf,0", "left,top"):
        with pytest.raises(InputError, match="center: expected X,Y in pixels"):
            parse_center(text)


def refused(work) -> bool:
    try:
        work()
    except InputError:
        return True
    return False
