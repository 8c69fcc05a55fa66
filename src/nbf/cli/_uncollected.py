"""Loading what stays, without looking for garbage in it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Meanwhile Python looks for no garbage, and never again among what there is at the end.

    Importing torch and reading networks makes half a million objects, almost all of which stay. Python would look
    through them again and again: a tenth of the time that they take.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()
