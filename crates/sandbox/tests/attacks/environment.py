"""Shows what it was given: variables, and open files."""
import os

for name, value in sorted(os.environ.items()):
    print(f"{name}={value}")
for number in range(256):
    try:
        os.fstat(number)
    except OSError:
        continue
    print(f"open {number}")
