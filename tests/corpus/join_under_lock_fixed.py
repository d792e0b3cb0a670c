# The closing clerk lets go of the lock before waiting for the packer.
import os
import sys
import threading
import time

WHAT = "shop closed"
shelf_lock = threading.Lock()
packing = threading.Event()
packed = []


def pack():
    packing.set()
    with shelf_lock:
        packed.append("box")


def one_round():
    packer = threading.Thread(target=pack, name="packer")
    with shelf_lock:
        packer.start()
        packing.wait()
    packer.join()


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = 0
    while True:
        one_round()
        rounds += 1
        if time.monotonic() >= stop_at:
            break
    print("%s: %d round(s)" % (WHAT, rounds))


if __name__ == "__main__":
    main()
