"""Writes one huge file, then many."""
import os

from attack import attempt


def huge():
    with open("huge", "wb") as file:
        while True:
            file.write(bytes(1 << 20))


def hole():
    with open("hole", "wb") as file:
        file.truncate(1 << 40)


def many():
    for number in range(40):
        with open(f"/tmp/{number}" if os.getcwd() == "/work" else f"many{number}", "wb") as file:
            file.write(bytes(1 << 20))


def shared():
    with open("/dev/shm/huge", "wb") as file:
        for _ in range(40):
            file.write(bytes(1 << 20))


attempt("huge file", huge)
attempt("hole", hole)
attempt("shared memory", shared)
attempt("many files", many)
