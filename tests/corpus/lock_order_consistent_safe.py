# Many threads nest the same two locks, always outer then inner.
import os
import sys
import threading
import time

WHAT = "pages filed"
drawer_lock = threading.Lock()
folder_lock = threading.Lock()
cabinet = {"drawers": 0, "folders": 0}


def file_pages(count):
    for _ in range(count):
        with drawer_lock:
            cabinet["drawers"] += 1
            with folder_lock:
                cabinet["folders"] += 1


def relabel(count):
    for _ in range(count):
        with drawer_lock, folder_lock:
            cabinet["folders"] -= 1
            cabinet["drawers"] -= 1


def one_round():
    cabinet.update(drawers=0, folders=0)
    team = [threading.Thread(target=file_pages, args=(300,)) for _ in range(3)]
    team.append(threading.Thread(target=relabel, args=(100,)))
    for t in team:
        t.start()
    for t in team:
        t.join()
    return 2 * 800, cabinet["drawers"] + cabinet["folders"]


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
