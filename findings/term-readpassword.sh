#!/bin/sh
# golang.org/x/term 0.48.0 on Linux: a hidden line.
#
# ReadPassword asks the terminal for a line, and Linux keeps 4,095 bytes of one. It drops
# the rest of a longer paste, and no error says so: a longer token at a hidden prompt is
# stored or sent without its end.
#
# Ends with 0 if x/term still does so. Needs Linux, Go and a module proxy.
set -eu
[ "$(uname)" = Linux ] || { echo "needs Linux"; exit 2; }
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
	"strings"

	"github.com/creack/pty"
	"golang.org/x/term"
)

func main() {
	for _, n := range []int{4095, 4096, 5000} {
		screen, terminal, err := pty.Open()
		if err != nil {
			panic(err)
		}
		go fmt.Fprintln(screen, strings.Repeat("x", n))
		line, err := term.ReadPassword(int(terminal.Fd()))
		fmt.Println("pasted:", n, "read:", len(line), "error:", err)
	}
}
GO
go get golang.org/x/term@v0.48.0 github.com/creack/pty@v1.1.24 >log 2>&1 || { cat log; exit 2; }
go build -o finding . >log 2>&1 || { cat log; exit 2; }
cat >expected <<'OUT'
pasted: 4095 read: 4095 error: <nil>
pasted: 4096 read: 4095 error: <nil>
pasted: 5000 read: 4095 error: <nil>
OUT
./finding >seen 2>&1 || true
if cmp -s expected seen; then
	echo "golang.org/x/term v0.48.0, $(go env GOVERSION), Linux $(uname -r):"
	cat seen
	exit 0
fi
echo "x/term does something else now:"
diff expected seen || true
exit 1
