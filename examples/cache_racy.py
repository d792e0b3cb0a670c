"""A cache that is looked into, then filled: several readers miss at once, and each does the expensive work.

    racetrace run -- python3 examples/cache_racy.py

reports

    error[check-then-act]: Weather.known
"""

import threading
import time


def ask_the_station(town):
    time.sleep(0.01)
    return len(town)


class Weather:
    def __init__(self):
        self.known = {}

    def of(self, town):
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
