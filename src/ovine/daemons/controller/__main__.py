"""`python -m ovine.daemons.controller`, for scripts that start a program by its path."""

import sys

from ovine.daemons.controller import main

sys.exit(main(sys.argv[1:]))
