# A dictionary is passed from the chef to the waiter and back with two Events, no lock anywhere.
import os
import sys
import threading
import time

WHAT = "steps done on the plate"


def chef(plate, cooked, served):
    plate["steps"] = 1
    time.sleep(0.002)
    plate["steps"] += 1
    cooked.set()
    served.wait()
    plate["steps"] += 1


def waiter(plate, cooked, served):
    cooked.wait()
    plate["steps"] += 1
    time.sleep(0.002)
    plate["table"] = 4
    served.set()


def one_round():
    plate, cooked, served = {}, threading.Event(), threading.Event()
    pair = [
        threading.Thread(target=waiter, args=(plate, cooked, served)),
        threading.Thread(target=chef, args=(plate, cooked, served)),
    ]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 4, plate["steps"]


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
