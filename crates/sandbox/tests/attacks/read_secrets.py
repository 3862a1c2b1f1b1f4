"""Reads what is none of its business: the paths are given as arguments."""
import os

from attack import ARGUMENTS, attempt, read

for path in ARGUMENTS:
    if path.endswith("/"):
        attempt(f"list {path}", lambda: os.listdir(path))
    else:
        attempt(f"read {path}", lambda: read(path))
