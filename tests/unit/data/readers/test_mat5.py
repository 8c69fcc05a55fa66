"""What scipy and Matlab wrote holds together; of what is damaged, nothing gets through that scipy would crash on."""

from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from damage import damages
from scipy.io import loadmat, savemat

from nbf.data.readers.mat5 import Broken, check_mat5

VALUES: dict[str, Any] = {
    "numbers": np.arange(12.0).reshape(3, 4),
    "small": np.arange(3, dtype=np.uint8),
    "yes": np.array([True, False]),
    "complex": np.array([1 + 2j, 3]),
    "text": "words",
    "nothing": np.zeros((0, 3)),
    "struct": {"a": 1, "b": {"c": "deep"}, "list": [1, "two", np.zeros((2, 2))]},
}
FOLDER = Path(scipy.io.__path__[0]) / "matlab" / "tests" / "data"
FROM_MATLAB = [file for file in sorted(FOLDER.glob("test*_[67].*.mat")) if "hdf5" not in file.name]
NOT_READ = ("func", "object", "sparse")


def written(*, packed: bool) -> bytes:
    file = BytesIO()
    savemat(file, VALUES, do_compression=packed)
    return file.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_what_scipy_wrote_is_whole(packed: bool) -> None:
    check_mat5(written(packed=packed))


@pytest.mark.skipif(not FROM_MATLAB, reason="this scipy comes without its tests' files")
def test_what_matlab_wrote_is_whole() -> None:
    for file in FROM_MATLAB:
        if any(name in file.name for name in NOT_READ):
            with pytest.raises(Broken, match="class"):
                check_mat5(file.read_bytes())
        else:
            check_mat5(file.read_bytes())


@pytest.mark.parametrize("packed", [False, True])
def test_what_gets_through_does_not_crash_scipy(packed: bool) -> None:
    data, through = written(packed=packed), 0
    for spoilt in damages(data, 400):
        try:
            check_mat5(spoilt)
        except Broken:
            continue
        through += 1
        # Its parser raises whatever it meets.
        with suppress(Exception):
            loadmat(BytesIO(spoilt))
    # Numbers may change unseen, unless they are packed with a checksum; and so may the text in the header.
    assert through < (200 if not packed else 150)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_cut_short_is_refused(packed: bool) -> None:
    file = BytesIO()
    savemat(file, {"struct": VALUES["struct"]}, do_compression=packed)
    data = file.getvalue()
    for end in range(129, len(data), 3):
        with pytest.raises(Broken):
            check_mat5(data[:end])
