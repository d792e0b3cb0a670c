# Mail workers ask and note "seen" in one locked step and send outside the lock.
import os
import sys
import threading
import time

WHAT = "newsletters sent to one address"
seen = set()
seen_lock = threading.Lock()


def look_up(address):
    time.sleep(0.01)
    return "To: " + address


def post(address, outbox):
    with seen_lock:
        if address in seen:
            return
        seen.add(address)
    outbox.append(look_up(address))


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
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
