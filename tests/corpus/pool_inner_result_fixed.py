# Inner jobs have a pool of their own.
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

WHAT = "invoice printed"
pool = ThreadPoolExecutor(max_workers=1)
inner_pool = ThreadPoolExecutor(max_workers=1)


def total(prices):
    return sum(prices)


def invoice(prices):
    amount = inner_pool.submit(total, prices)
    return "to pay: %d" % amount.result()


def one_round():
    print(pool.submit(invoice, [3, 4]).result())


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
