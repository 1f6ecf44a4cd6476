"""`python -m local` is `aicd`."""

from local.cli import main

main()
