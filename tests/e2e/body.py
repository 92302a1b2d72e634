"""body.py FILE MIB: has so much memory, and writes to each page of it, again and
again, until FILE is there."""
import os, sys, time
b = bytearray(os.urandom(1 << 20) * int(sys.argv[2]))
while not os.path.exists(sys.argv[1]):
    for i in range(0, len(b), 4096):
        b[i] = (b[i] + 1) & 255
    time.sleep(0.001)
