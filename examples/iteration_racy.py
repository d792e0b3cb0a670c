"""One thread walks a dictionary while another adds to it: "dictionary changed size during iteration", now and then.

    racetrace run -- python3 examples/iteration_racy.py

reports

    error[mutation-during-iteration]: iteration_racy.members
"""

import threading
import time

members = {"Ada": 1, "Bo": 2}


def newsletter():
    try:
        for name in members:
            time.sleep(0.02)  # sends a letter
    except RuntimeError as error:
        print("newsletter:", error)


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
