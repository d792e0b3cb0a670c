"""Four threads that write records to files of their own and, under a lock, to one that they share."""
import os
import sys
import tempfile
import threading

RECORDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60_000
lock = threading.Lock()


def work(number, directory, shared):
    with open(os.path.join(directory, f"own-{number}"), "w") as own:
        for record in range(RECORDS):
            own.write(f"{number} {record} some text to write\n")
            if record % 4 == 0:
                with lock:
                    shared.write(f"{number} {record}\n")


with tempfile.TemporaryDirectory() as directory, open(os.path.join(directory, "shared"), "w") as shared:
    threads = [threading.Thread(target=work, args=(number, directory, shared)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
