# A score board is read through list(scores.items()) while another thread adds players; no lock, and no error.
import os
import sys
import threading
import time

WHAT = "listings that broke off"


def show(scores, broken):
    for _ in range(15):
        try:
            for player, points in list(scores.items()):
                assert points >= 0
        except RuntimeError:
            broken.append(1)
        time.sleep(0.0005)


def join_game(scores):
    for n in range(30):
        scores["player%d" % n] = n
        time.sleep(0.0003)


def one_round():
    scores = {"host": 0}
    broken = []
    pair = [
        threading.Thread(target=show, args=(scores, broken)),
        threading.Thread(target=join_game, args=(scores,)),
    ]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 0, len(broken)


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
