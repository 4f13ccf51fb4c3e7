"""The command line: one module per group of commands, each imported only when one of its commands is called."""
