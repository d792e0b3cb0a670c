# Two jobs of a pool add to a counter, the second handed in when the first is done.
import concurrent.futures
import os
import sys
import threading
import time

WHAT = "jobs done"
done = 0


def job(size):
    global done
    before = done
    time.sleep(0)
    done = before + size


def one_round():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pool.submit(job, 1).result()
        time.sleep(0.05)
        pool.submit(job, 2).result()


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
