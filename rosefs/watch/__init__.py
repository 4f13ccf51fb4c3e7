"""Following the source directory: what changes on the disk is in the cache a moment later."""
