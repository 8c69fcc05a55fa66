"""Readers of the formats that data sets come in; whatever is wrong with a file is a DataError that names it."""
