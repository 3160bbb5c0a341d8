"""`python -m services.cli` is `countersign`."""

from services.cli import main

main()
