"""``python -m dermtl``."""

from dermtl.cli import main

if __name__ == "__main__":
    main()
