# A rota takes each name once, membership test and append in one locked step.
import os
import sys
import threading
import time

WHAT = "names on the rota"
rota = []
rota_lock = threading.Lock()


def enrol(name):
    with rota_lock:
        if name not in rota:
            time.sleep(0.01)
            rota.append(name)


def one_round():
    del rota[:]
    clerks = [threading.Thread(target=enrol, args=("otto",)) for _ in range(3)]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    return 1, len(rota)


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
