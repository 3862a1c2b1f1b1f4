"""Calls parts of the kernel that have often had holes, by number."""
import platform

from attack import attempt, call

CALLS = {
    "x86_64": {"bpf": 321, "perf": 298, "userfaultfd": 323, "keyctl": 250, "io_uring": 425, "memfd": 319, "shmget": 29,
               "handle": 304, "kexec": 246, "module": 175, "clone3": 435, "none such": 999},
    "aarch64": {"bpf": 280, "perf": 241, "userfaultfd": 282, "keyctl": 219, "io_uring": 425, "memfd": 279, "shmget": 194,
                "handle": 265, "kexec": 104, "module": 105, "clone3": 435, "none such": 999},
}
for name, number in CALLS.get(platform.machine(), {}).items():
    attempt(name, lambda: call("syscall", number, 0, 0, 0, 0, 0, 0))
if platform.machine() == "x86_64":
    # The second table of numbers that this processor has: getpid and ptrace in it.
    attempt("x32 getpid", lambda: call("syscall", 0x40000000 + 39))
    attempt("x32 ptrace", lambda: call("syscall", 0x40000000 + 521, 0, 0, 0, 0))
