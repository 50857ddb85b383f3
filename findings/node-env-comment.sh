#!/bin/sh
# Node.js 20.20.2 (nodejs.org), util.parseEnv (and --env-file): an indented comment, a line of
# spaces, or a line without = becomes a part of the name that follows, and the
# variable is missing under its own. Other versions may differ, so it prints the version.
#
# Ends with 0 if node still does so. Needs Node.js 20.12 or later.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >main.js <<'JS'
const { parseEnv } = require('node:util')
for (const text of ['# comment\nA=1', 'X=0\n  # comment\nA=1', 'X=0\n  \nA=1', 'X=0\nnote\nA=1']) {
  console.log(JSON.stringify(text), JSON.stringify(Object.keys(parseEnv(text)).sort()))
}
JS
cat >expected <<'OUT'
"# comment\nA=1" ["A"]
"X=0\n  # comment\nA=1" ["# comment\nA","X"]
"X=0\n  \nA=1" ["\nA","X"]
"X=0\nnote\nA=1" ["X","note\nA"]
OUT
command -v node >/dev/null || { echo "needs Node.js"; exit 2; }
node main.js >seen 2>&1 || true
if cmp -s expected seen; then
	echo "node $(node --version):"
	cat seen
	exit 0
fi
echo "node $(node --version) does something else:"
diff expected seen || true
exit 1
