# Two bidders claim a lot by creating its file if it does not exist; both believe they were first.
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "bidders who own the lot"


def claim(path, who, winners):
    if not os.path.exists(path):  # race-read: file-check-then-use lot7.claim
        time.sleep(0.03)
        with open(path, "w") as claim_file:  # race: file-check-then-use lot7.claim  # race-also: interleaved-write lot7.claim
            claim_file.write(who)  # race-also: interleaved-write lot7.claim
        winners.append(who)


def one_round():
    room = tempfile.mkdtemp()
    try:
        path = os.path.join(room, "lot7.claim")
        winners = []
        bidders = [threading.Thread(target=claim, args=(path, who, winners)) for who in ("ann", "bo")]
        for b in bidders:
            b.start()
        for b in bidders:
            b.join()
        return 1, len(winners)
    finally:
        shutil.rmtree(room)


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
