# Each waiter locks a lock of its own, so nothing protects the shared order number.
import os
import sys
import threading
import time

WHAT = "orders taken"
WAITERS, ORDERS = 5, 12
orders = 0


def write_down():
    time.sleep(0.0005)
    return 1


def waiter():
    global orders
    pad_lock = threading.Lock()
    for _ in range(ORDERS):
        with pad_lock:
            orders = orders + write_down()  # race: read-modify-write orders


def one_round():
    global orders
    orders = 0
    staff = [threading.Thread(target=waiter) for _ in range(WAITERS)]
    for s in staff:
        s.start()
    for s in staff:
        s.join()
    return WAITERS * ORDERS, orders


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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
