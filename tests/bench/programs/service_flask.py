"""A threaded Flask service with a race in its handler: the stock is looked at, a call is made, the stock is changed."""
import random
import time

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

app = Flask(__name__)
stock = {"apples": 1_000_000}


def payment():
    time.sleep(random.uniform(0.001, 0.003))


@app.route("/order")
def order():
    left = stock["apples"]
    if left > 0:
        payment()
        stock["apples"] = left - 1
    return {"left": left}


WSGIRequestHandler.protocol_version = "HTTP/1.1"
WSGIRequestHandler.log = lambda *_: None
server = make_server("127.0.0.1", 0, app, threaded=True)
print("port", server.server_port, flush=True)
server.serve_forever()
