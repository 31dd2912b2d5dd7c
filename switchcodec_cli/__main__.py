"""Run the command line as `python -m switchcodec_cli`."""

from .cli import main

if __name__ == "__main__":
    main()
