# The kitchen dies before it rings the bell, and the waiter waits for ever.
# hangs
import os
import sys
import threading
import time

WHAT = "dish served"
bell = threading.Event()


def kitchen(dish):
    try:
        time.sleep(len(dish) / 1000)
        dish[0] = "done"
    except TypeError:
        return
    bell.set()


def waiter():
    bell.wait()  # race: deadlock bell


def one_round():
    pair = [threading.Thread(target=waiter, name="waiter"), threading.Thread(target=kitchen, args=("soup",), name="kitchen")]
    for t in pair:
        t.start()
    for t in pair:
        t.join()


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
