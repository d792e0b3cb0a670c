# Restocking takes stock then price, repricing takes price then stock; at different times, so this run gets through.
import os
import sys
import threading
import time

WHAT = "lock orders in use"
stock_lock = threading.Lock()
price_lock = threading.Lock()
shelf = {"stock": 0, "price": 100}
orders = []


def restock():
    with stock_lock:  # race-read: lock-order-inversion price_lock,stock_lock
        time.sleep(0.001)
        with price_lock:  # race: lock-order-inversion price_lock,stock_lock
            shelf["stock"] += 5
            shelf["price"] -= 1
            orders.append("stock>price")


def reprice():
    time.sleep(0.08)
    with price_lock:  # race-read: lock-order-inversion price_lock,stock_lock
        time.sleep(0.001)
        with stock_lock:  # race: lock-order-inversion price_lock,stock_lock
            shelf["price"] += 1
            shelf["stock"] -= 5
            orders.append("price>stock")


def one_round():
    del orders[:]
    pair = [threading.Thread(target=restock), threading.Thread(target=reprice)]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 1, len(set(orders))


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
