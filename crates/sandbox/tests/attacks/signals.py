"""Ends, stops or slows processes outside. Argument: the number of one."""
import os
import resource
import signal

from attack import ARGUMENTS, attempt

victim = int(ARGUMENTS[0])
attempt("kill", lambda: os.kill(victim, signal.SIGTERM))
attempt("stop", lambda: os.kill(victim, signal.SIGSTOP))
attempt("group", lambda: os.killpg(victim, signal.SIGTERM))
attempt("queue", lambda: signal.pidfd_send_signal(os.pidfd_open(victim), signal.SIGTERM))
attempt("limits", lambda: resource.prlimit(victim, resource.RLIMIT_CPU, (0, 0)))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, victim, 19))
# Without a process namespace the parent must not be reachable; with one it is number 1, which no signal from inside reaches.
parent = os.getppid()
try:
    os.kill(parent, signal.SIGKILL)
    os.kill(parent, signal.SIGTERM)
except OSError as error:
    print(f"held parent: {error}", flush=True)
print("done", flush=True)
