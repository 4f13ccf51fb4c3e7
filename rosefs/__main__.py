"""Makes ``python -m rosefs`` the same as ``rosefs``; holds nothing of its own."""

from __future__ import annotations

from rosefs.cli.start import main

if __name__ == "__main__":
    main()
