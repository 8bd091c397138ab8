"""`python -m afanalysis.cli`."""

import sys

from afanalysis.cli import main

if __name__ == "__main__":
    sys.exit(main())
