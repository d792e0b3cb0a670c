# Sixty threads leave a Barrier together and each adds one to the same dict entry (latent on 3.10+).
import os
import sys
import threading
import time

WHAT = "lamps lit"
LAMPS = 60


def lamp(start_line, board):
    start_line.wait()
    board["lit"] += 1  # race: read-modify-write board[...]


def one_round():
    board = {"lit": 0}
    start_line = threading.Barrier(LAMPS)
    lamps = [threading.Thread(target=lamp, args=(start_line, board)) for _ in range(LAMPS)]
    for t in lamps:
        t.start()
    for t in lamps:
        t.join()
    return LAMPS, board["lit"]


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
