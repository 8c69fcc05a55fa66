"""`python -m nbf` is the command `nbf`."""

from nbf.cli import run

run()
