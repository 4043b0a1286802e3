"""Groups of commands that `cli.py` puts together, and what commands share. As there: parse, call one function, print, exit code."""
