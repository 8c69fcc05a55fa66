"""Adapters from data on disk to training and evaluation batches."""
