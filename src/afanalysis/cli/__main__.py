"""`python -m afanalysis.cli`."""

import sys

from afanalysis.cli import main

sys.exit(main())
