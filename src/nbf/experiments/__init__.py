"""The paper's experiments, run again: one file each, on what `experiment` and `report` know of all of them."""

from nbf.experiments.experiment import Experiment
from nbf.experiments.fraction import Fraction
from nbf.experiments.representation import Representation
from nbf.experiments.supervision import Supervision

EXPERIMENTS: dict[str, Experiment] = {each.name: each for each in (Representation(), Supervision(), Fraction())}
"""By the names that `nbf experiment` takes."""
