# Wardens give a number plate a parking slot under a lock, if it has none yet.
import os
import sys
import threading
import time

WHAT = "slots handed out for one plate"
garage = {}
gate = threading.Lock()


def admit(plate, slot, handed_out):
    with gate:
        if plate not in garage:
            time.sleep(0.01)
            garage[plate] = slot
            handed_out[slot] = True


def one_round():
    garage.clear()
    handed_out = [False] * 4
    wardens = [threading.Thread(target=admit, args=("KR-7", s, handed_out)) for s in range(4)]
    for w in wardens:
        w.start()
    for w in wardens:
        w.join()
    return 1, handed_out.count(True)


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
