"""Looks at other processes and at the system. Argument: the number of one outside."""
import os

from attack import ARGUMENTS, attempt, read

for pid in [*ARGUMENTS, "1", str(os.getppid())]:
    for file in ["cmdline", "environ", "maps", "status"]:
        attempt(f"{file} of {pid}", lambda: read(f"/proc/{pid}/{file}"))
    attempt(f"files of {pid}", lambda: os.listdir(f"/proc/{pid}/fd"))
for path in ["/proc/meminfo", "/proc/net/tcp", "/proc/sysrq-trigger", "/sys/kernel/mm", "/sys/fs/cgroup", "/dev/mem", "/dev/kmsg"]:
    attempt(path, lambda: read(path))
