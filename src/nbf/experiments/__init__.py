"""The paper's experiments, run again: one file each, on what `experiment` and `report` know of all of them."""

from nbf.experiments.comparison import Comparison
from nbf.experiments.experiment import Experiment
from nbf.experiments.fraction import Fraction
from nbf.experiments.representation import Representation
from nbf.experiments.robustness import Robustness
from nbf.experiments.segmentation import Segmentation
from nbf.experiments.shape import Shape
from nbf.experiments.supervision import Supervision

_ALL: tuple[Experiment, ...] = (
    Representation(),
    Segmentation(),
    Supervision(),
    Fraction(),
    Comparison(),
    Robustness(),
    Shape(),
)
EXPERIMENTS = {each.name: each for each in _ALL}
"""By the names that `nbf experiment` takes."""
