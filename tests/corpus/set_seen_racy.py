# Mail workers send a newsletter once per address, but ask "seen?" and note "seen!" in two steps.
import os
import sys
import threading
import time

WHAT = "newsletters sent to one address"
seen = set()


def look_up(address):
    time.sleep(0.03)
    return "To: " + address


def post(address, outbox):
    if address not in seen:  # race-read: check-then-act seen
        letter = look_up(address)
        seen.add(address)  # race: check-then-act seen
        outbox.append(letter)


def one_round():
    seen.clear()
    outbox = []
    workers = [threading.Thread(target=post, args=("mia@example.org", outbox)) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return 1, len(outbox)


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
