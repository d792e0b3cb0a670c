"""The newsletter of iteration_racy.py walks a copy, which is made in one step.

    racetrace run -- python3 examples/iteration_fixed.py

reports

    no races found
"""

import threading
import time

members = {"Ada": 1, "Bo": 2}


def newsletter():
    for name in list(members):
        time.sleep(0.02)  # sends a letter


def joining():
    for number in range(5):
        members["member %d" % number] = number
        time.sleep(0.01)


def main():
    threads = [threading.Thread(target=newsletter), threading.Thread(target=joining)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
