# A Semaphore(0) is the starting signal: the baker fills the tray, releases, and the shop changes the tray.
import os
import sys
import threading
import time

WHAT = "loaves sold"


def bake(tray, bell):
    tray["loaves"] = 0
    for _ in range(12):
        time.sleep(0.0002)
        tray["loaves"] += 1
    bell.release()


def sell(tray, bell, sold):
    bell.acquire()
    while tray["loaves"]:
        tray["loaves"] -= 1
        sold.append("loaf")


def one_round():
    tray, sold = {}, []
    bell = threading.Semaphore(0)
    pair = [
        threading.Thread(target=sell, args=(tray, bell, sold)),
        threading.Thread(target=bake, args=(tray, bell)),
    ]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 12, len(sold)


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
