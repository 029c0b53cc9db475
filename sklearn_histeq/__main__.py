"""Lets ``python -m sklearn_histeq`` run the command line."""

import sys

from sklearn_histeq._cli import main

if __name__ == "__main__":
    sys.exit(main())
