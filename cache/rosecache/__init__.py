"""The cache engine: a music directory on one side, a SQLite cache and queries on the other."""
