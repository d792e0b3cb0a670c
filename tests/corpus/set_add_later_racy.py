# Guests are added to a set; in this run after another thread had walked it.
import os
import sys
import threading
import time

WHAT = "lists read out"
guests = {n for n in range(100)}


def read_out():
    for guest in guests:  # race-read: mutation-during-iteration guests
        str(guest)


def arrive():
    for n in range(100, 110):
        guests.add(n)  # race: mutation-during-iteration guests


def one_round():
    guests.clear()
    guests.update(range(100))
    first = threading.Thread(target=read_out)
    second = threading.Thread(target=arrive)
    first.start()
    time.sleep(0.05)
    second.start()
    first.join()
    second.join()


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
