# A thread dies between acquire() and release() without finally; the next one waits for ever.
# hangs
import os
import sys
import threading
import time

WHAT = "two payments"
till_lock = threading.Lock()
till = []


def pay(amount):
    till_lock.acquire()  # race: deadlock till_lock
    till.append(int(amount))
    till_lock.release()


def customer(amount):
    try:
        pay(amount)
    except ValueError:
        pass


def one_round():
    first = threading.Thread(target=customer, args=("ten",), name="first")
    first.start()
    first.join()
    second = threading.Thread(target=customer, args=("10",), name="second")
    second.start()
    second.join()


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
