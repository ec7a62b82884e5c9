"""Makes `python -m ossfs` the command `ossfs`."""

import sys

from ossfs.cli import main

if __name__ == "__main__":
    sys.exit(main())
