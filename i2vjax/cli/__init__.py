"""The command line: flags, commands, what errors become."""
