#!/bin/sh
# k8s.io/kubectl 0.37.2: create secret --from-env-file and a long line.
#
# A bufio.Scanner reads the file, and nobody looks at its error. A line of 64 KiB or
# more ends the reading without an error: the Secret is created from the lines before
# it, and the lines after it are missing.
#
# Ends with 0 if kubectl still does so. Needs Go and a module proxy; minutes at first.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'MOD'
module finding

go 1.26

require k8s.io/kubectl v0.37.2
MOD
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"

	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	for _, n := range []int{65533, 65534} {
		text := "FIRST=1\nL=" + strings.Repeat("x", n) + "\nLAST=1\n"
		if err := os.WriteFile("env", []byte(text), 0o600); err != nil {
			panic(err)
		}
		var names []string
		err := util.AddFromEnvFile("env", func(name, _ string) error {
			names = append(names, name)
			return nil
		})
		fmt.Println("line of", n+2, "bytes:", names, "error:", err)
	}
}
GO
go mod tidy >log 2>&1 || { cat log; exit 2; }
CGO_ENABLED=0 go build -trimpath -o finding . >log 2>&1 || { cat log; exit 2; }
cat >expected <<'OUT'
line of 65535 bytes: [FIRST L LAST] error: <nil>
line of 65536 bytes: [FIRST] error: <nil>
OUT
./finding >seen 2>&1 || true
if cmp -s expected seen; then
	echo "kubectl v0.37.2, $(go env GOVERSION):"
	cat seen
	exit 0
fi
echo "kubectl does something else now:"
diff expected seen || true
exit 1
