# A Semaphore(3) lets three barmen in at once, which protects nothing about the glass count.
import os
import sys
import threading
import time

WHAT = "glasses poured"
bar = threading.Semaphore(3)
glasses = 0


def pour():
    time.sleep(0.002)
    return 1


def barman():
    global glasses
    for _ in range(4):
        with bar:
            glasses = glasses + pour()  # race: read-modify-write glasses


def one_round():
    global glasses
    glasses = 0
    team = [threading.Thread(target=barman) for _ in range(6)]
    for t in team:
        t.start()
    for t in team:
        t.join()
    return 24, glasses


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
