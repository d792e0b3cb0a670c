"""The cache of cache_racy.py, double-checked: a look without the lock, and a second one with it, which counts.

    racetrace run -- python3 examples/cache_fixed.py

reports

    no races found
"""

import threading
import time


def ask_the_station(town):
    time.sleep(0.01)
    return len(town)


class Weather:
    def __init__(self):
        self.known = {}
        self.lock = threading.Lock()

    def of(self, town):
        if town not in self.known:
            with self.lock:
                if town not in self.known:
                    self.known[town] = ask_the_station(town)
        return self.known[town]


def main():
    weather = Weather()
    readers = [threading.Thread(target=weather.of, args=("Ulm",)) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    print("known:", weather.known)


if __name__ == "__main__":
    main()
