# An audit asks a copy's iterator for one element after the other with next(), while users log in.
import os
import sys
import threading
import time

WHAT = "audits done"
sessions = {"user %d" % n: n for n in range(50)}


def audit():
    names = []
    entries = iter(list(sessions.items()))
    while True:
        try:
            name, _ = next(entries)
        except (StopIteration, RuntimeError):
            break
        names.append(name)
        time.sleep(0)


def log_in():
    for n in range(50):
        sessions["guest %d" % n] = n
        time.sleep(0)


def one_round():
    for n in range(50):
        sessions.pop("guest %d" % n, None)
    pair = [threading.Thread(target=audit), threading.Thread(target=log_in)]
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
