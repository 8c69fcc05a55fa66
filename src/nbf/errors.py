"""Everything that this library raises on purpose.

    NbfError
    ├── InputError      a picture, file or argument given by the user cannot be used
    ├── ModelFileError  a body model or weights file is missing, damaged or of an unknown kind
    └── DataError       training or benchmark data is missing or inconsistent

A message says what was wrong, what was expected, what was got and how to mend it, so that the command line can print it
as it stands. Anything else that escapes from the library is a bug.
"""


class NbfError(Exception):
    """Base of every error raised on purpose."""


class InputError(NbfError):
    """A picture, file or argument given by the user cannot be used."""


class ModelFileError(NbfError):
    """A body model or weights file is missing, damaged or of an unknown kind."""


class DataError(NbfError):
    """Training or benchmark data is missing or inconsistent."""
