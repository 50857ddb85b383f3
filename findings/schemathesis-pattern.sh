#!/bin/sh
# Schemathesis 4.32.5 (github.com/schemathesis/schemathesis), as a judge of what a
# service answers to valid requests.
#
# If the pattern of a header has a double quote, like that of an entity tag, its
# coverage phase finds no valid value, sends 0 in the request that it counts as valid,
# and reports the service that refuses it. Without the quote it finds one.
#
# Ends with 0 if Schemathesis still does so. Needs Python 3.10 or later and a package index.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v >log 2>&1 || { cat log; exit 2; }
v/bin/pip install --quiet schemathesis==4.32.5 >log 2>&1 || { cat log; exit 2; }
cat >finding.py <<'PY'
import http.server
import json
import re
import subprocess
import threading


class Service(http.server.BaseHTTPRequestHandler):
    def answer(self):
        tag = self.headers.get("If-Match")
        self.send_response(204 if tag is None or re.fullmatch(pattern, tag) else 400)
        self.end_headers()

    do_GET = answer

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
for pattern in ['^[a-z]+$', '^"[a-z]+"$']:
    parameter = {"name": "If-Match", "in": "header", "schema": {"type": "string", "pattern": pattern}}
    answers = {"204": {"description": "done"}, "400": {"description": "no such tag"}}
    operation = {"operationId": "x", "parameters": [parameter], "responses": answers}
    with open("spec.json", "w") as f:
        json.dump({"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/x": {"get": operation}}}, f)
    url = "http://127.0.0.1:%d" % server.server_port
    done = subprocess.run(["v/bin/schemathesis", "run", "spec.json", "--url", url, "--phases", "coverage", "--checks", "positive_data_acceptance", "--no-color"],
                          capture_output=True, text=True)
    refused = "Schema-valid request rejected" in done.stdout
    sent = re.findall(r"-H '(If-Match: [^']*)'", done.stdout)
    print(pattern, "a valid request was refused:" if refused else "nothing was found", *sent)
PY
cat >expected <<'OUT'
^[a-z]+$ nothing was found
^"[a-z]+"$ a valid request was refused: If-Match: 0
OUT
v/bin/python finding.py >seen 2>&1 || true
if cmp -s expected seen; then
	echo "Schemathesis 4.32.5, $(python3 --version):"
	cat seen
	exit 0
fi
echo "Schemathesis does something else now:"
diff expected seen || true
exit 1
