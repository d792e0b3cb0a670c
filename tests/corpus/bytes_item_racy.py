# Threads count letters in a bytearray; a weight is worked out between reading and storing.
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


def count(table):
    for letter in TEXT:
        table[letter & 7] = table[letter & 7] + weight(letter)  # race: read-modify-write table[...]


def one_round():
    table = bytearray(8)
    readers = [threading.Thread(target=count, args=(table,)) for _ in range(READERS)]
    for r in readers:
        r.start()
    for r in readers:
        r.join()
    return READERS * len(TEXT), sum(table)


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
