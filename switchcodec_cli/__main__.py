"""`python -m switchcodec_cli`, the same as `swc`."""

from .cli import main

if __name__ == "__main__":
    main()
