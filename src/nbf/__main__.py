"""`python -m nbf` is the command `nbf`."""

import sys

from nbf.cli import main

sys.exit(main())
