"""Serves moto on the loopback interface.

It prints one line of JSON when it answers and ends with its standard input, like
the other servers. -listen HOST:PORT names an address, else any port is taken.
"""

import argparse
import json
import logging
import os
import sys
import threading

# A region of its own for each test keeps tests apart.
os.environ["MOTO_ALLOW_NONEXISTENT_REGION"] = "true"

from moto.moto_server.werkzeug_app import (  # noqa: E402  (it reads the environment)
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server  # noqa: E402

application = DomainDispatcherApplication(create_backend_app)
turn = threading.Lock()


def in_turn(environ, start_response):
    """Answers one request at a time: moto locks nothing, and of those that change
    a secret at once some fail with status 500."""
    with turn:
        body = application(environ, start_response)
        try:
            return list(body)
        finally:
            if hasattr(body, "close"):
                body.close()


parser = argparse.ArgumentParser()
parser.add_argument("-listen", default="127.0.0.1:0", metavar="HOST:PORT")
host, _, port = parser.parse_args().listen.rpartition(":")

logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for each request
server = make_server(host, int(port), in_turn, threaded=True, request_handler=MotoRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"address": "http://%s:%d" % server.server_address[:2]}), flush=True)

sys.stdin.buffer.read()
os._exit(0)  # whoever still asks is cut off
