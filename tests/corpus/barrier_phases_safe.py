# Painters fill their own cells, meet at a Barrier, then read a neighbour's cell and meet again before overwriting.
import os
import sys
import threading
import time

WHAT = "sum of all cells"
PAINTERS = 4


def paint(cells, number, meet):
    for _ in range(5):
        mine = cells[number]
        time.sleep(0.0002)
        cells[number] = mine + 1
        meet.wait()
        neighbour = cells[(number + 1) % PAINTERS]
        meet.wait()
        cells[number] = neighbour
        meet.wait()


def one_round():
    cells = [0] * PAINTERS
    meet = threading.Barrier(PAINTERS)
    team = [threading.Thread(target=paint, args=(cells, n, meet)) for n in range(PAINTERS)]
    for t in team:
        t.start()
    for t in team:
        t.join()
    return 5 * PAINTERS, sum(cells)


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
