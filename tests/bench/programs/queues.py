"""A pipeline of three stages over queues."""
import queue
import sys
import threading

ITEMS = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
raw, parsed, done = queue.Queue(100), queue.Queue(100), queue.Queue()
END = object()


def parse():
    while (item := raw.get()) is not END:
        fields = [part.strip().upper() for part in item.split(",")]
        parsed.put({"key": fields[0], "value": sum(ord(letter) for field in fields for letter in field)})
    parsed.put(END)


def collect():
    totals = {}
    while (item := parsed.get()) is not END:
        totals[item["key"]] = totals.get(item["key"], 0) + item["value"]
    done.put(totals)


threads = [threading.Thread(target=stage) for stage in (parse, collect)]
for thread in threads:
    thread.start()
for number in range(ITEMS):
    raw.put(f"key{number % 50}, some text {number}, more of it, and an end")
raw.put(END)
for thread in threads:
    thread.join()
print(sum(done.get().values()))
