import os
import tempfile
import threading
import time

room = tempfile.mkdtemp()
log = open(os.path.join(room, "sensors.log"), "w")
till = open(os.path.join(room, "till.txt"), "w")


def measure():
    time.sleep(0.003)
    return "ok"


def sensor(name):
    while True:
        log.write(name + " ")
        log.write(measure() + "\n")


def department(name):
    while True:
        with open(os.path.join(room, "report.csv"), "w") as report:
            for row in range(20):
                time.sleep(0.003)
                report.write("%s;%d\n" % (name, row))


class Amount:
    def __init__(self, number):
        self.number = number

    def __str__(self):
        time.sleep(0.003)
        return str(self.number)


def clerk(name):
    while True:
        print(name, Amount(7), "sold", file=till)


for name in ("north", "south"):
    threading.Thread(target=sensor, args=(name,), daemon=True).start()
    threading.Thread(target=department, args=(name,), daemon=True).start()
    threading.Thread(target=clerk, args=(name,), daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
