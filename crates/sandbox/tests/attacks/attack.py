"""What the attacks share. An attempt that does not raise has got through."""
import ctypes
import os
import sys

LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(name, action):
    """Tries something; says whether it was held, and by what error."""
    try:
        result = action()
    except BaseException as error:  # whatever is raised, it did not get through
        print(f"held {name}: {type(error).__name__}: {error}", flush=True)
    else:
        print(f"ESCAPED {name}: {result!r}"[:300], flush=True)


def call(name, *arguments):
    """Calls a function of the C library; raises what it reports."""
    function = getattr(LIBC, name)
    function.restype = ctypes.c_long
    result = function(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def read(path):
    with open(path, "rb") as file:
        return file.read(200)


def write(path, mode="w"):
    with open(path, mode) as file:
        file.write("attacked")
    return path


ARGUMENTS = sys.argv[1:]
