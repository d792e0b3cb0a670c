# A document with a revision: what was changed is only taken if the revision is still the one that it was made from.
import os
import sys
import threading
import time

WHAT = "lines written"
AUTHORS, LINES = 3, 6


class Outdated(Exception):
    pass


class Document:
    def __init__(self):
        self.lines = ()
        self.revision = 0
        self.lock = threading.Lock()

    def look(self):
        with self.lock:
            return self.lines, self.revision

    def save(self, lines, revision):
        with self.lock:
            if revision != self.revision:
                raise Outdated
            self.lines = lines
            self.revision += 1


def write(document, author):
    done = 0
    while done < LINES:
        lines, revision = document.look()
        time.sleep(0.0002)
        try:
            document.save(lines + ("%s %d" % (author, done),), revision)
        except Outdated:
            continue
        done += 1


def one_round():
    document = Document()
    authors = [threading.Thread(target=write, args=(document, "author %d" % n)) for n in range(AUTHORS)]
    for a in authors:
        a.start()
    for a in authors:
        a.join()
    return AUTHORS * LINES, len(document.lines)


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
