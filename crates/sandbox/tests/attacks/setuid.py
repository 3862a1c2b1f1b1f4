"""Becomes somebody else, or gains rights."""
import os
import shutil
import subprocess

from attack import attempt, call

NEW_USERS, NEW_MOUNTS = 0x10000000, 0x00020000


def run_as_owner():
    shutil.copyfile("/usr/bin/id", "id")
    os.chmod("id", 0o4755)
    before = os.geteuid()
    after = int(subprocess.check_output(["./id", "-u"]))
    if after == before:
        raise PermissionError(f"still user {after}")
    return after


def become_root():
    os.setuid(0)
    return os.getuid()


def rights():
    """Rights that the program has, as capget says."""
    import ctypes

    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    call("capget", header, data)
    if not any(data):
        raise PermissionError("no rights")
    return list(data)


attempt("setuid", become_root)
attempt("setresuid", lambda: os.setresuid(0, 0, 0))
attempt("setgid", lambda: os.setgid(0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("user namespace", lambda: call("unshare", NEW_USERS))
attempt("mount namespace", lambda: call("unshare", NEW_MOUNTS))
attempt("mount", lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
attempt("chroot", lambda: os.chroot("."))
attempt("setuid program", run_as_owner)
attempt("su", lambda: subprocess.run(["/bin/su", "-c", "id"], check=True, stdin=subprocess.DEVNULL))
attempt("rights", rights)
