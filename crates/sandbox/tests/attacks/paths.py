"""Reaches a file outside by detours. Argument: its path. The link `given` was in the job's folder."""
import os

from attack import ARGUMENTS, attempt, read

secret = ARGUMENTS[0]
attempt("given link", lambda: read("given"))
attempt("dots", lambda: read("../" * 30 + secret))
attempt("dots below a folder", lambda: read("/usr/../" + secret))
os.symlink(secret, "link")
attempt("own link", lambda: read("link"))
os.symlink("/", "top")
attempt("link to the top", lambda: read("top" + secret))
attempt("root of a process", lambda: read("/proc/self/root" + secret))
attempt("folder of a process", lambda: read("/proc/1/cwd" + secret))
attempt("hard link", lambda: os.link(secret, "hard"))


def climb():
    """A folder that was open while it was moved up lets one climb out of a plain chroot."""
    os.mkdir("deep")
    top = os.open(".", os.O_RDONLY)
    os.chdir("deep")
    os.fchdir(top)
    for _ in range(50):
        os.chdir("..")
    return read(secret[1:])


attempt("climbing", climb)
