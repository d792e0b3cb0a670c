# One thread drops what is old from the left end of a deque; others only add at the right: what it looked at stays.
import collections
import os
import sys
import threading
import time

WHAT = "events kept"
SENDERS, EVENTS = 3, 20


def send(events):
    for number in range(EVENTS):
        events.append(number)
        time.sleep(0.0001)


def expire(events, done, dropped):
    while not done.is_set() or events:
        if events and events[0] >= 0:
            time.sleep(0.0001)
            dropped.append(events.popleft())


def one_round():
    events, done, dropped = collections.deque([0]), threading.Event(), []
    cleaner = threading.Thread(target=expire, args=(events, done, dropped))
    senders = [threading.Thread(target=send, args=(events,)) for _ in range(SENDERS)]
    for t in [cleaner, *senders]:
        t.start()
    for t in senders:
        t.join()
    done.set()
    cleaner.join()
    return SENDERS * EVENTS + 1, len(dropped)


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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
