"""`python -m lamplighter` is the same as the `lamplighter` command."""

from lamplighter.cli.main import main

main()
