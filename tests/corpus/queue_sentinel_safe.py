# Jobs (changed by each side in turn) go through queue.Queue; a sentinel is passed on from one worker to the next.
import os
import queue
import sys
import threading
import time

WHAT = "parcels weighed and stamped"
PARCELS = 40


def sender(belt):
    for n in range(PARCELS):
        parcel = {"number": n, "stamps": 0}
        parcel["stamps"] += 1
        belt.put(parcel)
    belt.put(None)


def packer(belt, vans):
    while True:
        parcel = belt.get()
        if parcel is None:
            belt.put(None)
            return
        parcel["stamps"] += 1
        parcel["grams"] = parcel["number"] * 10
        vans.put(parcel)
        belt.task_done()


def one_round():
    belt, vans = queue.Queue(maxsize=5), queue.Queue()
    packers = [threading.Thread(target=packer, args=(belt, vans)) for _ in range(3)]
    source = threading.Thread(target=sender, args=(belt,))
    for p in packers:
        p.start()
    source.start()
    source.join()
    for p in packers:
        p.join()
    done = 0
    while not vans.empty():
        parcel = vans.get()
        parcel["stamps"] += 1
        done += parcel["stamps"] == 3
    return PARCELS, done


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
