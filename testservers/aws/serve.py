"""Serves moto on the loopback interface.

It prints one line of JSON when it answers and ends with its standard input, like
the other servers. -listen HOST:PORT names an address, else any port is taken.
"""

import argparse
import json
import logging
import os
import sys

# A region of its own for each test keeps tests apart.
os.environ["MOTO_ALLOW_NONEXISTENT_REGION"] = "true"

from moto.server import ThreadedMotoServer  # noqa: E402  (it reads the environment)

parser = argparse.ArgumentParser()
parser.add_argument("-listen", default="127.0.0.1:0", metavar="HOST:PORT")
host, _, port = parser.parse_args().listen.rpartition(":")

logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for each request
server = ThreadedMotoServer(host, int(port), verbose=False)
server.start()
print(json.dumps({"address": "http://%s:%d" % server.get_host_and_port()}), flush=True)

sys.stdin.buffer.read()
os._exit(0)  # whoever still asks is cut off
