# Clerks ask queue.empty() before get_nowait(); two of them see the same last letter.
import os
import queue
import sys
import threading
import time

WHAT = "clerks who found the tray empty"


def clerk(tray, surprised):
    try:
        while not tray.empty():  # race-read: check-then-act tray
            time.sleep(0.002)
            tray.get_nowait()  # race: check-then-act tray
    except queue.Empty:
        surprised.append(1)


def one_round():
    tray = queue.Queue()
    for n in range(10):
        tray.put(n)
    surprised = []
    clerks = [threading.Thread(target=clerk, args=(tray, surprised)) for _ in range(4)]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    return 0, len(surprised)


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
