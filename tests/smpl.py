"""Made-up SMPL files, for tests: a small one, one as large as SMPL, and a writer that writes as Python 2 did."""

import io
import pickle
from typing import Any

import numpy as np

from nbf.body.joints import PARENTS


def tiny_smpl() -> dict[str, Any]:
    """Two vertices for each joint, which is their middle; joints along a made-up body."""
    rng = np.random.default_rng(0)
    joints = np.zeros((24, 3))
    for joint, parent in enumerate(PARENTS):
        joints[joint] = (joints[parent] if parent >= 0 else 0) + rng.normal(0, 0.1, 3)
    offset = np.array([0.02, 0.01, 0.03])
    regressor = np.zeros((24, 48))
    regressor[np.arange(24), np.arange(24)] = regressor[np.arange(24), np.arange(24) + 24] = 0.5
    weights = np.zeros((48, 24))
    weights[np.arange(48), np.arange(48) % 24] = 1.0
    return {
        "v_template": np.concatenate([joints - offset, joints + offset]),
        "shapedirs": rng.normal(0, 0.01, (48, 3, 10)),
        "posedirs": rng.normal(0, 0.001, (48, 3, 207)),
        "J_regressor": regressor,
        "weights": weights,
        "f": np.stack([np.arange(46), np.arange(46) + 1, np.arange(46) + 2], 1).astype(np.uint32),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(24)], dtype=np.uint32),
        "bs_type": "lrotmin",
    }


def full_smpl(shapes: int) -> dict[str, Any]:
    """As many numbers as SMPL has, all random."""
    rng, v = np.random.default_rng(0), 6890
    table = tiny_smpl()
    regressor = np.zeros((24, v))
    regressor[np.arange(24)[:, None], rng.permutation(v)[: 24 * 30].reshape(24, 30)] = 1 / 30
    weights = rng.random((v, 24)) ** 8
    return table | {
        "v_template": rng.normal(0, 0.3, (v, 3)),
        "shapedirs": rng.normal(0, 0.01, (v, 3, shapes)),
        "posedirs": rng.normal(0, 0.001, (v, 3, 207)),
        "J_regressor": regressor,
        "weights": weights / weights.sum(1, keepdims=True),
        "f": rng.integers(0, v, (13776, 3)).astype(np.uint32),
    }


# Python's own pickler in Python, which the standard library keeps beside the one in C without a public name.
_PurePickler: Any = vars(pickle)["_Pickler"]


class _Python2Pickler(_PurePickler):
    """Strings and bytes alike as Python 2's str."""

    dispatch = _PurePickler.dispatch.copy()

    def save_string(self, obj: str | bytes) -> None:
        raw = obj.encode("latin1") if isinstance(obj, str) else obj
        if self.proto == 0:
            # A bytes literal, so the same but for the b in front.
            self.write(b"S" + repr(raw)[1:].encode("ascii") + b"\n")
        elif len(raw) < 256:
            self.write(b"U" + bytes([len(raw)]) + raw)
        else:
            self.write(b"T" + len(raw).to_bytes(4, "little") + raw)
        self.memoize(obj)

    dispatch[bytes] = dispatch[str] = save_string


def python2_pickle(value: Any, protocol: int) -> bytes:
    """A pickle with the strings and the module names of Python 2 and its numpy and scipy."""
    file = io.BytesIO()
    _Python2Pickler(file, protocol, fix_imports=True).dump(value)
    raw = file.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.").replace(b"ccopyreg\n", b"ccopy_reg\n")
    for kind in (b"csc", b"csr", b"coo"):
        raw = raw.replace(b"cscipy.sparse._" + kind, b"cscipy.sparse." + kind)
    return raw
