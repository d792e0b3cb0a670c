# Restocking and repricing both take stock then price.
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
    with stock_lock:
        time.sleep(0.001)
        with price_lock:
            shelf["stock"] += 5
            shelf["price"] -= 1
            orders.append("stock>price")


def reprice():
    with stock_lock:
        time.sleep(0.001)
        with price_lock:
            shelf["price"] += 1
            shelf["stock"] -= 5
            orders.append("stock>price")


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
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
