# An outbox is emptied entry by entry: what comes meanwhile is sent next.
import os
import sys
import threading
import time

WHAT = "entries sent"
outbox = []
sent = []


def send(batch):
    sent.extend(batch)
    time.sleep(0)


def flush():
    for _ in range(20):
        batch = []
        while True:
            try:
                batch.append(outbox.pop(0))
            except IndexError:
                break
        send(batch)


def write_entries():
    for n in range(100):
        outbox.append(n)
        time.sleep(0)


def one_round():
    pair = [threading.Thread(target=flush), threading.Thread(target=write_entries)]
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
