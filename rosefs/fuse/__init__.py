"""Serving a tree through the kernel: two bindings that translate, and the mounting and unmounting around them."""
