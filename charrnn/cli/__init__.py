"""The command line: one file for each command, a skin over the library."""
