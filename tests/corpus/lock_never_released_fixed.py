# A with block gives the lock back even when a payment fails.
import os
import sys
import threading
import time

WHAT = "payments in the till"
till_lock = threading.Lock()
till = []


def pay(amount):
    with till_lock:
        till.append(int(amount))


def customer(amount):
    try:
        pay(amount)
    except ValueError:
        pass


def one_round():
    del till[:]
    for amount in ("ten", "10"):
        visitor = threading.Thread(target=customer, args=(amount,))
        visitor.start()
        visitor.join()
    return 1, len(till)


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = want = got = 0
    while True:
        expected, actual = one_round()
        rounds, want, got = rounds + 1, want + expected, got + actual
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
