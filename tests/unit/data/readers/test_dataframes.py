"""Tables of pandas as four of its versions pickled them, without pandas."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from agora_frames import rows
from spoiling import refuses_or_reads

from nbf.data.readers.dataframes import DataFrame, read_dataframe
from nbf.data.readers.pickled import read_pickled
from nbf.errors import DataError

FRAMES = sorted((Path(__file__).parent / "frames").glob("*.pkl"))


def everything(frame: DataFrame) -> list[object]:
    return [frame.cell(column, row) for column in frame.columns for row in range(len(frame))]


@pytest.mark.parametrize("path", FRAMES, ids=lambda path: path.stem)
def test_cells_are_what_was_written(path: Path) -> None:
    frame = read_dataframe(path)
    true = list(rows())
    assert len(frame) == len(true)
    assert set(frame.columns) == set(true[0])
    for index, row in enumerate(true):
        for column, value in row.items():
            got = frame.cell(column, index)
            assert np.shape(got) == np.shape(value)
            if isinstance(value, str | bool | int | float):
                assert got == value
            else:
                # Mathematics differs in the last digit between versions of numpy.
                assert all(each == pytest.approx(wanted, abs=1e-9) for each, wanted in zip(got, value, strict=True))


@pytest.mark.parametrize("path", FRAMES, ids=lambda path: path.stem)
def test_a_spoilt_file_is_one_clean_error(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path / "spoilt.pkl"))
    refuses_or_reads(copy, lambda: everything(read_dataframe(copy)), 30)


class Evil:
    def __reduce__(self):
        return os.system, ("echo ran",)


@pytest.mark.parametrize("value", [Evil(), {"a": 1}, [1, 2], None, slice(1, 2)])
def test_anything_else_is_refused(value: object, tmp_path: Path) -> None:
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(DataError, match=r"other\.pkl"):
        read_dataframe(path)


def test_names_that_neither_pandas_nor_numpy_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps({"a": Evil()}))
    with pytest.raises(DataError, match=r"\.system"):
        read_dataframe(path)


@pytest.mark.parametrize("path", FRAMES, ids=lambda path: path.stem)
def test_elsewhere_pandas_stays_unknown(path: Path) -> None:
    with pytest.raises(DataError, match=r"pandas\.core\.frame\.DataFrame"):
        read_pickled(path)


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="'nothing'"):
        read_dataframe(FRAMES[0]).cell("nothing", 0)
