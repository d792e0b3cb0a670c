"""Two threads write lines to one log in two steps each: another's text can land in the middle of a line.

    racetrace run -- python3 examples/log_file_racy.py

reports

    error[interleaved-write]: machine.log
"""

import os
import tempfile
import threading
import time


def machine(log, name):
    for number in range(20):
        log.write("%s made part %d" % (name, number))
        time.sleep(0.001)  # looks whether it is in order
        log.write(" and is ready\n")
        log.flush()


def main():
    with tempfile.TemporaryDirectory() as room, open(os.path.join(room, "machine.log"), "w") as log:
        machines = [threading.Thread(target=machine, args=(log, name)) for name in ("press", "saw")]
        for each in machines:
            each.start()
        for each in machines:
            each.join()


if __name__ == "__main__":
    main()
