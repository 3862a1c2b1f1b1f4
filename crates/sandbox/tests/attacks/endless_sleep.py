"""Uses nothing, and never ends."""
import time

print("asleep", flush=True)
while True:
    time.sleep(3600)
