#!/bin/sh
# github.com/zalando/go-keyring 0.2.8 on Linux without a session's bus.
#
# Without DBUS_SESSION_BUS_ADDRESS its client of D-Bus looks for dbus-launch in
# PATH and runs it. If there is none, the error is that of the search for a
# program and not one of go-keyring's own, so a caller cannot tell "there is no
# keyring here" from a failure.
#
# Ends with 0 if go-keyring still does so. Needs Linux, Go and a module proxy.
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
	"errors"
	"fmt"
	"os/exec"

	"github.com/zalando/go-keyring"
)

func main() {
	_, err := keyring.Get("finding", "nobody")
	fmt.Println("says:", err)
	fmt.Println("is ErrNotFound:", errors.Is(err, keyring.ErrNotFound))
	fmt.Println("is ErrUnsupportedPlatform:", errors.Is(err, keyring.ErrUnsupportedPlatform))
	fmt.Println("is exec.ErrNotFound:", errors.Is(err, exec.ErrNotFound))
}
GO
go get github.com/zalando/go-keyring@v0.2.8 >log 2>&1 || { cat log; exit 2; }
go build -o finding . >log 2>&1 || { cat log; exit 2; }
cat >expected <<'OUT'
says: exec: "dbus-launch": executable file not found in $PATH
is ErrNotFound: false
is ErrUnsupportedPlatform: false
is exec.ErrNotFound: true
OUT
env -i PATH="$dir/none" XDG_RUNTIME_DIR="$dir" ./finding >seen 2>&1 || true
if cmp -s expected seen; then
	echo "github.com/zalando/go-keyring v0.2.8, $(go env GOVERSION):"
	cat seen
	exit 0
fi
echo "go-keyring does something else now:"
diff expected seen || true
exit 1
