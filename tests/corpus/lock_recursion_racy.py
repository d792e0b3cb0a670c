# A function takes a plain Lock and calls itself, waiting for its own lock for ever.
# hangs
import os
import sys
import threading
import time

WHAT = "counting the leaves of a tree"
tree_lock = threading.Lock()


def leaves(branch):
    with tree_lock:  # race: deadlock tree_lock
        return sum(leaves(twig) for twig in branch) if branch else 1


def one_round():
    counter = threading.Thread(target=leaves, args=([[], [[], []]],), name="leaf-counter")
    counter.start()
    counter.join()


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
