"""Solvers: from a proxy to bodies that agree with it."""
