"""Disk to cache: find, compare, read, write."""
