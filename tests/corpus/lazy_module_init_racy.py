# An exchange-rate table is loaded on first use into a module-level name, once per impatient thread.
import os
import sys
import threading
import time

WHAT = "times the table was loaded"
_rates = None
loads = []


def load_rates():
    loads.append("load")
    time.sleep(0.03)
    return {"nok": 11.4, "sek": 11.2}


def rates():
    global _rates
    if _rates is None:  # race-read: check-then-act _rates
        _rates = load_rates()  # race: check-then-act _rates
    return _rates


def one_round():
    global _rates
    _rates = None
    del loads[:]
    clerks = [threading.Thread(target=rates) for _ in range(4)]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    return 1, len(loads)


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
