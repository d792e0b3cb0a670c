# A job waits for the result of another job of the same pool, whose only worker it occupies.
# hangs
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

WHAT = "invoice printed"
pool = ThreadPoolExecutor(max_workers=1)


def total(prices):
    return sum(prices)


def invoice(prices):
    amount = pool.submit(total, prices)
    return "to pay: %d" % amount.result()  # race: deadlock amount


def one_round():
    print(pool.submit(invoice, [3, 4]).result())


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
