"""Writes for ever, to both streams."""
import sys

while True:
    sys.stdout.write("out" * 1000)
    sys.stderr.write("err" * 1000)
