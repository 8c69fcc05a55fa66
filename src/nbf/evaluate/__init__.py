"""Measuring: metrics as pure functions, and the protocols that run them over data."""
