# Processes count in a shared value in turns: an event, a pipe and a join keep them apart.
import multiprocessing
import os
import sys
import time

WHAT = "visitors counted"
VISITORS = 60


def morning(visitors, over):
    for _ in range(VISITORS):
        visitors.value += 1
    over.set()


def evening(visitors, over, door):
    over.wait()
    for _ in range(VISITORS):
        visitors.value += 1
    door.send("closed")
    door.recv()
    visitors.value += 1


def one_round():
    context = multiprocessing.get_context("fork")
    visitors, over = context.Value("i", 0), context.Event()
    here, there = context.Pipe()
    shifts = [
        context.Process(target=morning, args=(visitors, over)),
        context.Process(target=evening, args=(visitors, over, there)),
    ]
    for s in shifts:
        s.start()
    here.recv()
    visitors.value += 1
    here.send("go home")
    for s in shifts:
        s.join()
    visitors.value += 1
    return 2 * VISITORS + 3, visitors.value


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
