"""`python -m b24lake` is the same as `b24lake`."""

from b24lake.cli.main import main

if __name__ == "__main__":
    main()
