"""Test-time optimisation: residuals over the body's parameters, a problem of them, a damped least-squares solver."""

from nbf.refine.landmarks import Landmarks, Placed, place
from nbf.refine.problem import BodyProblem, Evidence, Weights
from nbf.refine.solver import Report, solve
from nbf.refine.state import BodyState

__all__ = ["BodyProblem", "BodyState", "Evidence", "Landmarks", "Placed", "Report", "Weights", "place", "solve"]
