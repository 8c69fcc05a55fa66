"""Every test runs with nbf's annotated shapes and types checked, on one thread, with repeatable hypothesis draws."""

import os

from jaxtyping import install_import_hook

# An int is a float to Python's type rules (PEP 484), and so to beartype once told.
install_import_hook("nbf", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

import hypothesis  # noqa: E402  the hook must be in place before anything imports nbf
import torch  # noqa: E402

torch.set_num_threads(int(os.environ.get("NBF_TEST_THREADS", "1")))

hypothesis.settings.register_profile("nbf", deadline=None, max_examples=25, derandomize=True, database=None)
hypothesis.settings.load_profile("nbf")
