# Threads count letters in a bytearray, under one lock; others fill parts of their own in a second one.
import os
import sys
import threading
import time

WHAT = "letters counted"
READERS = 3
TEXT = b"abracadabra" * 4


def weight(letter):
    time.sleep(0.0002)
    return 1


def count(table, lock, copy, part):
    for letter in TEXT:
        with lock:
            table[letter & 7] = table[letter & 7] + weight(letter)
    end = part + len(TEXT)
    copy[part:end] = copy[part:end].replace(b"\0", b"x")


def one_round():
    table, copy, lock = bytearray(8), bytearray(READERS * len(TEXT)), threading.Lock()
    parts = range(0, len(copy), len(TEXT))
    readers = [threading.Thread(target=count, args=(table, lock, copy, part)) for part in parts]
    for r in readers:
        r.start()
    for r in readers:
        r.join()
    return READERS * len(TEXT), min(sum(table), copy.count(b"x"))


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
