# A function drops words from the very list that its loop walks, and leaves every second one in.
import os
import sys
import time

WHAT = "words kept"


def clean(text):
    words = list(text.split())
    for word in words:  # race-read: mutation-during-iteration words
        if len(word) < 3:
            words.remove(word)  # race: mutation-during-iteration words
    return words


def one_round():
    clean("it is so as we do it or not")


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
