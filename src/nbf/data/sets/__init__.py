"""Adapters: one file for each data set, which ends in its `SET`."""
