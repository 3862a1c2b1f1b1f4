"""One process takes all memory that it can get."""
taken = []
try:
    while True:
        taken.append(bytearray(16 << 20))
except MemoryError:
    got = len(taken) * 16
    del taken
    print(f"held memory: no more than {got} MiB", flush=True)
