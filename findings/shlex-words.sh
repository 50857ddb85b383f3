#!/bin/sh
# github.com/google/shlex e7afc7fbc510 (of 2019, the newest; it has no versions): it
# splits by "shell-style rules for quoting and commenting".
#
# In double quotes a POSIX shell keeps a backslash unless $ ` " \ or the end of a line
# follows. shlex drops each: "\d" is d. A byte that is not UTF-8, which the name of a
# file may have, comes out as U+FFFD, three other bytes. Neither is an error.
#
# Ends with 0 if shlex still does so. Needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'MOD'
module finding

go 1.26
MOD
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os/exec"

	"github.com/google/shlex"
)

func main() {
	for _, line := range []string{`"a\"b"`, `"\d+"`, `"C:\keys\new"`, "caf\xe9", `it\'s`} {
		words, err := shlex.Split(line)
		shell, _ := exec.Command("sh", "-c", "printf %s "+line).Output()
		fmt.Printf("%q: shlex %q %v, sh %q\n", line, words, err, shell)
	}
}
GO
go get github.com/google/shlex@v0.0.0-20191202100458-e7afc7fbc510 >log 2>&1 || { cat log; exit 2; }
go build -o finding . >log 2>&1 || { cat log; exit 2; }
cat >expected <<'OUT'
"\"a\\\"b\"": shlex ["a\"b"] <nil>, sh "a\"b"
"\"\\d+\"": shlex ["d+"] <nil>, sh "\\d+"
"\"C:\\keys\\new\"": shlex ["C:keysnew"] <nil>, sh "C:\\keys\\new"
"caf\xe9": shlex ["caf�"] <nil>, sh "caf\xe9"
"it\\'s": shlex ["it's"] <nil>, sh "it's"
OUT
./finding >seen 2>&1 || true
if cmp -s expected seen; then
	echo "google/shlex e7afc7fbc510, $(go env GOVERSION):"
	cat seen
	exit 0
fi
echo "shlex does something else now:"
diff expected seen || true
exit 1
