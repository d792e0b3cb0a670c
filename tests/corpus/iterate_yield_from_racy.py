# A registry hands its plugins out by `yield from` while others are registered.
import os
import sys
import threading
import time

WHAT = "listings made"


class Registry:
    def __init__(self):
        self.plugins = {n: "plugin %d" % n for n in range(50)}

    def __iter__(self):
        yield from self.plugins.values()  # race-read: mutation-during-iteration plugins

    def register(self, n):
        self.plugins[n] = "plugin %d" % n  # race: mutation-during-iteration plugins


registry = Registry()


def list_all():
    names = []
    try:
        for name in registry:
            names.append(name)
            time.sleep(0)
    except RuntimeError:
        pass


def load():
    for n in range(100, 150):
        registry.register(n)
        time.sleep(0)


def one_round():
    for n in range(100, 150):
        registry.plugins.pop(n, None)
    pair = [threading.Thread(target=list_all), threading.Thread(target=load)]
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
