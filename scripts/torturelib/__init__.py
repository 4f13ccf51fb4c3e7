"""The parts of ``scripts/torture``; see docs/reliability.md. Only for development, never installed."""
