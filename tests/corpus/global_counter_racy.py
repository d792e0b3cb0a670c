# Four turnstile threads bump one module-level counter with a bare += (latent under the GIL on 3.10+).
import os
import sys
import threading
import time

WHAT = "people through the turnstiles"
GATES, PEOPLE = 4, 30000
visitors = 0


def turnstile():
    global visitors
    for _ in range(PEOPLE):
        visitors += 1  # race: read-modify-write visitors


def one_round():
    global visitors
    visitors = 0
    gates = [threading.Thread(target=turnstile) for _ in range(GATES)]
    for gate in gates:
        gate.start()
    for gate in gates:
        gate.join()
    return GATES * PEOPLE, visitors


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
