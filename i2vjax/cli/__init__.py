"""The command line: flags, commands, errors."""
