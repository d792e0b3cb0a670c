# One thread publishes a fresh tuple by rebinding a name; readers take the name once and use what they got.
import os
import sys
import threading
import time

WHAT = "snapshots that did not add up"
forecast = (0, 0)


def publish():
    global forecast
    for n in range(60):
        forecast = (n, -n)
        time.sleep(0.0002)


def read(odd):
    for _ in range(60):
        now = forecast
        if sum(now) != 0:
            odd.append(now)
        time.sleep(0.0002)


def one_round():
    odd = []
    team = [threading.Thread(target=publish)] + [threading.Thread(target=read, args=(odd,)) for _ in range(3)]
    for t in team:
        t.start()
    for t in team:
        t.join()
    return 0, len(odd)


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
