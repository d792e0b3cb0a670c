# The bell rings whatever happens in the kitchen.
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
    finally:
        bell.set()


def waiter():
    bell.wait()


def one_round():
    bell.clear()
    pair = [threading.Thread(target=waiter, name="waiter"), threading.Thread(target=kitchen, args=("soup",), name="kitchen")]
    for t in pair:
        t.start()
    for t in pair:
        t.join()


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
