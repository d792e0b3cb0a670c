# Labels are made by join, extend and * from a map over a set that shrinks meanwhile.
import os
import sys
import threading
import time

WHAT = "labels printed"
words = {"word %d" % n for n in range(50)}


def shout(word):
    return word.upper()


def show(*shouted):
    return len(shouted)


def print_labels():
    for _ in range(10):
        lines = []
        try:
            ",".join(map(shout, words))  # race-read: mutation-during-iteration words
            lines.extend(map(shout, words))  # race-read: mutation-during-iteration words
            show(*map(shout, words))  # race-read: mutation-during-iteration words
        except RuntimeError:
            pass


def forget():
    for n in range(50):
        words.discard("word %d" % n)  # race: mutation-during-iteration words
        time.sleep(0)


def one_round():
    words.update("word %d" % n for n in range(50))
    pair = [threading.Thread(target=print_labels), threading.Thread(target=forget)]
    for t in pair:
        t.start()
    for t in pair:
        t.join()


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = 0
    while True:
        one_round()
        rounds += 1
        if time.monotonic() >= stop_at:
            break
    print("%s: %d round(s)" % (WHAT, rounds))


if __name__ == "__main__":
    main()
