#!/bin/sh
# openapi-python-client 0.29.1 (github.com/openapi-generators/openapi-python-client).
#
# If an operation has a header whose schema is a const, such as If-None-Match: *, the
# client lacks the operation. There is a warning, and exit code 0. With a pattern, or an
# enum of one, the operation is there.
#
# Ends with 0 if it still does so. Needs Python 3.11 or later and a package index.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v >log 2>&1 || { cat log; exit 2; }
v/bin/pip install --quiet openapi-python-client==0.29.1 >log 2>&1 || { cat log; exit 2; }
for schema in '"const":"*"' '"enum":["*"]' '"pattern":"^[*]$"'; do
	cat >spec.json <<JSON
{"openapi":"3.1.0","info":{"title":"x","version":"1"},"paths":{"/x":{"put":{"operationId":"store",
"parameters":[{"name":"If-None-Match","in":"header","schema":{"type":"string",$schema}}],
"responses":{"204":{"description":"done"}}}}}}
JSON
	code=0
	PATH="$dir/v/bin:$PATH" v/bin/openapi-python-client generate --path spec.json --meta none --output-path client --overwrite >log 2>&1 || code=$?
	operation=missing
	[ ! -f client/api/default/store.py ] || operation=there
	echo "$schema: exit code $code, the operation is $operation"
	rm -rf client
done >seen
cat >expected <<'OUT'
"const":"*": exit code 0, the operation is missing
"enum":["*"]: exit code 0, the operation is there
"pattern":"^[*]$": exit code 0, the operation is there
OUT
if cmp -s expected seen; then
	echo "openapi-python-client 0.29.1, $(python3 --version):"
	cat seen
	exit 0
fi
echo "openapi-python-client does something else now:"
diff expected seen || true
exit 1
