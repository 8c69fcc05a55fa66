"""CDF files, as cdflib's writer makes them."""

import struct
from pathlib import Path

import numpy as np
import pytest
from studio import write_cdf

from nbf.data.readers.cdf import count_numbers, read_cdf
from nbf.errors import DataError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_cdf(tmp_path / "a.cdf", np.arange(7 * 32 * 3, dtype=float).reshape(7, 32, 3))
    return tmp_path / "a.cdf"


def test_numbers_arrive(path: Path) -> None:
    assert count_numbers(path, "Pose") == 7 * 96
    np.testing.assert_array_equal(read_cdf(path, "Pose").ravel(), np.arange(7 * 96))


def test_what_is_not_there_is_said(path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.cdf"):
        read_cdf(path, "Poses")
    with pytest.raises(DataError, match="no such file"):
        read_cdf(path.with_name("b.cdf"), "Pose")


@pytest.mark.parametrize("count", ["dimensions of the file", "dimensions of the variable"])
def test_a_count_that_a_file_claims_is_not_believed(path: Path, count: str) -> None:
    data = bytearray(path.read_bytes())
    file = 8 + struct.unpack_from(">q", data, 8)[0]
    variable = struct.unpack_from(">q", data, file + 20)[0]
    struct.pack_into(">i", data, file + 56 if count.endswith("file") else variable + 340, 2**31 - 1)
    path.write_bytes(data)
    with pytest.raises(DataError, match="claims to have 2147483647"):
        read_cdf(path, "Pose")
