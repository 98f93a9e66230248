"""What the shell can say: one command a file, each from parsed options to an exit code."""
