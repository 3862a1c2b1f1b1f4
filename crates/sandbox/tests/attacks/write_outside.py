"""Writes, empties, removes and re-labels what lies outside. Arguments: a folder and a file in it."""
import os

from attack import ARGUMENTS, attempt, write

folder, file = ARGUMENTS
attempt("create", lambda: write(f"{folder}/new"))
attempt("overwrite", lambda: write(file))
attempt("append", lambda: write(file, "a"))
attempt("truncate", lambda: os.truncate(file, 0))
attempt("remove", lambda: os.remove(file))
attempt("rename", lambda: os.rename(file, "mine"))
attempt("link", lambda: os.link(file, "mine"))
attempt("chmod", lambda: os.chmod(file, 0o777))
attempt("chmod of the folder", lambda: os.chmod(folder, 0))
attempt("times", lambda: os.utime(file, (0, 0)))
attempt("mkdir", lambda: os.mkdir(f"{folder}/new-folder"))
attempt("symlink", lambda: os.symlink("/", f"{folder}/new-link"))
for place in ["/usr/bin/new", "/usr/lib/new", "/etc/new", "/dev/new", "/new", "/var/tmp/new"]:
    attempt(f"create {place}", lambda: write(place))
attempt("chmod of the runtime", lambda: os.chmod("/usr/bin/env", 0o777))
