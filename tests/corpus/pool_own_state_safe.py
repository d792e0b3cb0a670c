# Jobs of a pool use what their thread keeps for itself: in a threading.local, and in a dict by thread.
import concurrent.futures
import os
import sys
import threading
import time

WHAT = "jobs done"
local = threading.local()
by_thread = {}


class Connection:
    def __init__(self):
        self.queries = 0
        self.tables = {}


def job(number):
    if not hasattr(local, "connection"):
        local.connection = Connection()
    connection = local.connection
    connection.queries = connection.queries + int("1")
    if number % 3 not in connection.tables:
        connection.tables[number % 3] = str(number)
    me = threading.get_ident()
    if me not in by_thread:
        by_thread[me] = []
    by_thread[me].append(number)


def one_round():
    by_thread.clear()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(job, range(50)))


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
