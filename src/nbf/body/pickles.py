"""Read the arrays out of SMPL's pickle files without running anything that the file asks for.

A pickle may name any function of the machine and have it called. Here only names from a short list are honoured:
numpy's array builders are the real ones; scipy's sparse matrices and chumpy's arrays become inert records of what was
stored, so neither package is imported. Everything else is refused.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from nbf.errors import ModelFileError

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
# Asked from numpy itself, since their modules differ between its versions.
_ARRAY_BUILDERS = {
    "_reconstruct": np.zeros(1).__reduce__()[0],
    "scalar": np.float64(0).__reduce__()[0],
    "_frombuffer": np.zeros(1).__reduce_ex__(5)[0],
}


class _Record:
    """Stands for an object of a class that is not imported; keeps the attributes that the file gives it."""


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 3 pickles bytes in the old protocols; the only use that array files have for a codec."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"codec {encoding!r}")
    return text.encode("latin1")


def _reconstruct_record(cls: type, base: type, _state: object) -> object:
    """copyreg._reconstructor for plain objects, which is all that a record may be."""
    if not (isinstance(cls, type) and issubclass(cls, _Record) and base is object):
        raise pickle.UnpicklingError("an object of an unexpected class")
    return cls()


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in ("copy_reg", "copyreg") and name == "_reconstructor":
            return _reconstruct_record
        if (module, name) in (("__builtin__", "object"), ("builtins", "object")):
            return object
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module in _ARRAY_MODULES and name in _ARRAY_BUILDERS:
            return _ARRAY_BUILDERS[name]
        package = module.split(".")[0:2]
        if package == ["scipy", "sparse"] and name in ("csc_matrix", "csr_matrix", "csc_array", "csr_array"):
            # A class of its own for each name, so that a file cannot alter one that others use.
            return type(name, (_Record,), {})
        if package[0] == "chumpy":
            return type(name, (_Record,), {})
        raise pickle.UnpicklingError(f"{module}.{name}")


def read_pickled_arrays(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle file, its arrays dense numpy ones; entries that are no arrays stay as they are.

    Raises ModelFileError where the file is damaged, holds no dictionary, or names anything but arrays.
    """
    try:
        with path.open("rb") as file:
            table = _ArrayUnpickler(file, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise ModelFileError(
            f"{path}: refused, since it is not a plain file of arrays (it holds {error}); expected an SMPL model with "
            "numpy, scipy.sparse and chumpy arrays only. Do not unpickle it; get the model from its makers' site"
        ) from error
    except Exception as error:
        # A damaged stream can fail in any of the builders, with any exception.
        raise ModelFileError(f"{path}: damaged or not a pickle ({type(error).__name__}: {error})") from error
    if not isinstance(table, dict):
        raise ModelFileError(f"{path}: expected a dictionary of arrays, got {type(table).__name__}")
    try:
        return {str(key): _dense(value) for key, value in table.items()}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelFileError(f"{path}: an array in it is damaged ({type(error).__name__}: {error})") from error


def _dense(value: Any) -> Any:
    if not isinstance(value, _Record):
        return value
    kept = vars(value)
    name = type(value).__name__
    if name.startswith(("csc_", "csr_")):
        return _dense_sparse(kept, by_column=name.startswith("csc_"))
    if "x" in kept:
        return np.asarray(_dense(kept["x"]))
    # chumpy.reordering.Select: a choice of another array's entries.
    if "a" in kept and "idxs" in kept:
        chosen = np.asarray(_dense(kept["a"])).ravel()[np.asarray(kept["idxs"])]
        return chosen.reshape(kept["preferred_shape"]) if "preferred_shape" in kept else chosen
    raise ValueError(f"{name} without values")


def _dense_sparse(kept: dict[str, Any], *, by_column: bool) -> np.ndarray:
    """Compressed rows or columns -> the whole matrix."""
    shape = tuple(kept.get("_shape") or kept["shape"])
    lines, starts = (shape[1] if by_column else shape[0]), np.asarray(kept["indptr"])
    line = np.repeat(np.arange(lines), np.diff(starts))
    matrix = np.zeros(shape, np.asarray(kept["data"]).dtype)
    across = np.asarray(kept["indices"])
    np.add.at(matrix, (across, line) if by_column else (line, across), np.asarray(kept["data"]))
    return matrix
