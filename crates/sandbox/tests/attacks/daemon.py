"""Leaves a process behind that holds on to everything. Argument: a word to find it by."""
import os
import sys

from attack import ARGUMENTS

STAY = """
import signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
print("stays", flush=True)
while True:
    time.sleep(3600)
"""
ready, told = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(told, b"x")
        os.execv(sys.executable, [sys.executable, "-c", STAY, ARGUMENTS[0]])
    os._exit(0)
os.read(ready, 1)
print("left a daemon", flush=True)
