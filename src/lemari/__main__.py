"""`python -m lemari`: the command."""

from lemari.surfaces.cli.main import main

if __name__ == "__main__":
    main()
