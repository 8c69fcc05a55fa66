"""Matlab files of data sets: those up to version 7.2 by scipy, 7.3 (which are HDF5) by h5py."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from nbf.data.readers.mat5 import check_mat5
from nbf.errors import DataError


def read_mat(path: Path, name: str, shape: tuple[int | None, ...]) -> ndarray:
    """An array of numbers out of a Matlab file, float64, in Matlab's order of dimensions.

    Args:
        path: the file.
        name: of the variable.
        shape: that it must have; None is any number.

    Raises:
        DataError: the file is missing or damaged, or has no such array; or a library is not installed.
    """
    value = load_mat(path, name).get(name)
    array = np.asarray(value) if value is not None else None
    fits = (
        array is not None
        and array.dtype.kind in "fiub"
        and array.ndim == len(shape)
        and all(want in (None, got) for want, got in zip(shape, array.shape))
    )
    if array is None or not fits:
        wanted = " x ".join("n" if side is None else str(side) for side in shape)
        got = "nothing" if array is None else f"{array.dtype} of shape {array.shape}"
        raise DataError(f"{path}: expected numbers {wanted} called {name!r}, got {got}; get the data set anew")
    return array.astype(np.float64)


def load_mat(path: Path, *names: str) -> dict[str, Any]:
    """The variables of a Matlab file (those of the names, if any are given): arrays, and of version up to 7.2 structs
    as objects with fields.

    Raises DataError as `read_mat`.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; docs/datasets says what goes where")
    try:
        import h5py
        from scipy.io import loadmat
    except ImportError as error:
        raise DataError(
            f"{path}: reading Matlab files needs scipy and h5py; install them with: "
            "pip install 'neural-body-fitting[datasets]'"
        ) from error
    try:
        if not h5py.is_hdf5(path):
            check_mat5(path.read_bytes())
        if h5py.is_hdf5(path):
            with h5py.File(path) as file:
                # Matlab's order of dimensions is the reverse of HDF5's.
                return {
                    key: value[()].T
                    for key, value in file.items()
                    if isinstance(value, h5py.Dataset) and (key in names or not names)
                }
        return loadmat(path, struct_as_record=False, squeeze_me=False, variable_names=names or None)
    # Parsers of damaged files raise whatever they meet.
    except Exception as error:
        raise DataError(f"{path}: cannot be read as a Matlab file ({error}); get the data set anew") from error
