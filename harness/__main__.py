"""`python -m harness VERB ...`: the same as ./kseries inside the environment."""

import sys

from harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
