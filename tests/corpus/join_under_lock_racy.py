# The closing clerk waits for the packer while holding the lock that the packer needs.
# hangs
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
    with shelf_lock:  # race: deadlock shelf_lock
        packed.append("box")


def one_round():
    packer = threading.Thread(target=pack, name="packer")
    with shelf_lock:
        packer.start()
        packing.wait()
        packer.join()  # race: deadlock shelf_lock


def main():
    if "--seconds" in sys.argv:
        print("ready", os.getpid(), flush=True)
        # half of the time is left for attaching before everything stops for good
        time.sleep(float(sys.argv[sys.argv.index("--seconds") + 1]) / 2)
    print("%s: expected to finish, actual: this process hangs now" % WHAT, flush=True)
    one_round()
    print("never reached")


if __name__ == "__main__":
    main()
