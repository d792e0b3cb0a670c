# A pool of connections looks whether one is idle, and is ready for somebody else having taken it.
import collections
import os
import sys
import threading
import time

WHAT = "queries made"


class Connection:
    def __init__(self):
        self.queries = 0

    def query(self):
        self.queries = self.queries + int("1")


class Pool:
    def __init__(self):
        self.idle = collections.deque()

    def get(self):
        if self.idle:
            try:
                return self.idle.pop()
            except IndexError:
                pass
        return Connection()

    def put(self, connection):
        self.idle.append(connection)


pool = Pool()


def client():
    for _ in range(100):
        connection = pool.get()
        connection.query()
        if connection is not None:
            pool.put(connection)


def one_round():
    pair = [threading.Thread(target=client), threading.Thread(target=client)]
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
