# Two RLocks are taken in one order, at different times.
import os
import sys
import threading
import time

WHAT = "orders handled"
stock, till = threading.RLock(), threading.RLock()


def buy():
    with stock:
        with till:
            pass


def refund():
    with stock:
        with till:
            pass


def one_round():
    done = [threading.Event() for _ in range(2)]

    def serve(job, number):
        job()
        done[number].set()

    for number, job in enumerate((buy, refund)):
        threading.Thread(target=serve, args=(job, number), daemon=True).start()
        time.sleep(0.02)
    for event in done:
        event.wait()


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
