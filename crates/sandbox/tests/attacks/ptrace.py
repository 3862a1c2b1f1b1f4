"""Traces and reads other processes. Arguments: process numbers outside."""
import ctypes
import os

from attack import ARGUMENTS, attempt, call, read

ATTACH, SEIZE = 16, 0x4206
for pid in [os.getppid(), *map(int, ARGUMENTS)]:
    attempt(f"attach {pid}", lambda: call("ptrace", ATTACH, pid, None, None))
    attempt(f"seize {pid}", lambda: call("ptrace", SEIZE, pid, None, None))
    attempt(f"memory of {pid}", lambda: read(f"/proc/{pid}/mem"))
    buffer = ctypes.create_string_buffer(8)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
    attempt(f"copy from {pid}", lambda: call("process_vm_readv", pid, vector, 1, vector, 1, 0))
