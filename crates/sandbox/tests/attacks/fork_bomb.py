"""Every process starts processes, for ever."""
import os
import time

leader = os.getpid()
failed = 0
while failed < 50:
    try:
        os.fork()
    except OSError as error:
        failed += 1
        if os.getpid() == leader and failed == 1:
            print(f"held fork: {error}", flush=True)
if os.getpid() != leader:
    time.sleep(3600)
