# Pump threads that live for the whole run share a stroke counter (for attaching to threads already running).
import os
import sys
import threading
import time

strokes = 0


def push():
    time.sleep(0.001)
    return 1


def pump(slot, done, stop_at):
    global strokes
    mine = 0
    while time.monotonic() < stop_at:
        strokes = strokes + push()  # race: read-modify-write strokes
        mine += 1
    done[slot] = mine


def main():
    seconds = 0.2
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    done = [0, 0, 0]
    stop_at = time.monotonic() + seconds
    pumps = [threading.Thread(target=pump, args=(i, done, stop_at)) for i in range(3)]
    for p in pumps:
        p.start()
    for p in pumps:
        p.join()
    print("strokes: expected %d, actual %d" % (sum(done), strokes))


if __name__ == "__main__":
    main()
