"""A threaded web handler: Flask on werkzeug's threaded server; the requests come from a process that is not watched."""
import sys
import threading

from flask import Flask, request
from werkzeug.serving import make_server

app = Flask(__name__)
lock = threading.Lock()
visits = {}
hits = 0


@app.route("/visit/<name>")
def visit(name):
    global hits
    with lock:
        visits[name] = visits.get(name, 0) + 1
        hits += 1
    words = request.args.get("words", "a b c").split()
    return {"name": name, "words": sorted(words), "total": sum(len(word) for word in words)}


@app.route("/quit")
def leave():
    threading.Thread(target=server.shutdown).start()
    return "bye"


server = make_server("127.0.0.1", 0, app, threaded=True)
print("port", server.server_port, flush=True)
server.serve_forever()
sys.exit(0)
