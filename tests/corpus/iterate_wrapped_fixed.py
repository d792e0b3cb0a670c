# A report walks copies of the stock through zip and map while deliveries add to it.
import os
import sys
import threading
import time

WHAT = "reports written"
stock = {"item %d" % n: n for n in range(50)}


def price(count):
    return sum(range(count % 7))


def report(lines):
    for _ in range(20):
        try:
            for name, size in zip(map(str.upper, list(stock)), map(price, list(stock.values()))):
                lines.append((name, size))
        except RuntimeError:
            pass


def deliver():
    for n in range(100):
        stock["new %d" % n] = n
        time.sleep(0)


def one_round():
    for n in range(100):
        stock.pop("new %d" % n, None)
    pair = [threading.Thread(target=report, args=([],)), threading.Thread(target=deliver)]
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
