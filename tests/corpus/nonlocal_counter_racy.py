# Bird watchers share a counter through a closure and bump it with a bare += (latent on 3.10+).
import os
import sys
import threading
import time

WHAT = "birds written down"
WATCHERS, SIGHTINGS = 4, 15000


def count_birds():
    birds = 0

    def watch():
        nonlocal birds
        for _ in range(SIGHTINGS):
            birds += 1  # race: read-modify-write birds

    team = [threading.Thread(target=watch) for _ in range(WATCHERS)]
    for t in team:
        t.start()
    for t in team:
        t.join()
    return birds


def one_round():
    return WATCHERS * SIGHTINGS, count_birds()


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
