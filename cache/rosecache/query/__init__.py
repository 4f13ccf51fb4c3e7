"""Reading a library's queries: cache to values."""
