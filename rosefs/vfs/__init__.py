"""The virtual tree: directories as queries, names, inodes and open files, without any FUSE library."""
