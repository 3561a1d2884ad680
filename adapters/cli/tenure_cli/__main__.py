"""`python -m tenure_cli` is `tenure`."""

from tenure_cli.main import main

if __name__ == "__main__":
    main()
