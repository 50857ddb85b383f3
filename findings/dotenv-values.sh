#!/bin/sh
# Three libraries that change the values of .env files and do not say so:
#
# - github.com/joho/godotenv 1.5.1 and github.com/subosito/gotenv 1.6.0: Marshal writes
#   a value that is a number as strconv.Atoi reads it: 007 becomes 7, and a plus is lost.
# - github.com/hashicorp/go-envparse 0.1.0: before a comment, the last byte of a
#   character beyond ASCII is cut, quoted or not: the value is no longer UTF-8.
#
# Ends with 0 if they still do so. Needs Go and a module proxy.
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
	"strings"

	"github.com/hashicorp/go-envparse"
	"github.com/joho/godotenv"
	"github.com/subosito/gotenv"
)

func main() {
	for _, value := range []string{"007", "+49", "0x07"} {
		a, errA := godotenv.Marshal(map[string]string{"PIN": value})
		b, errB := gotenv.Marshal(gotenv.Env{"PIN": value})
		fmt.Println(value, "is written:", a, b, errA, errB)
	}
	for _, line := range []string{"NAME='André'", "NAME='André' # a comment", "NAME=André # a comment", "NAME=Andre # a comment"} {
		env, err := envparse.Parse(strings.NewReader(line))
		fmt.Printf("%s is read: %q %v\n", line, env["NAME"], err)
	}
}
GO
go get github.com/joho/godotenv@v1.5.1 github.com/subosito/gotenv@v1.6.0 github.com/hashicorp/go-envparse@v0.1.0 >log 2>&1 || { cat log; exit 2; }
go build -o finding . >log 2>&1 || { cat log; exit 2; }
cat >expected <<'OUT'
007 is written: PIN=7 PIN=7 <nil> <nil>
+49 is written: PIN=49 PIN=49 <nil> <nil>
0x07 is written: PIN="0x07" PIN="0x07" <nil> <nil>
NAME='André' is read: "André" <nil>
NAME='André' # a comment is read: "Andr\xc3" <nil>
NAME=André # a comment is read: "Andr\xc3" <nil>
NAME=Andre # a comment is read: "Andre" <nil>
OUT
./finding >seen 2>&1 || true
if cmp -s expected seen; then
	echo "godotenv v1.5.1, gotenv v1.6.0, go-envparse v0.1.0, $(go env GOVERSION):"
	cat seen
	exit 0
fi
echo "one of them does something else now:"
diff expected seen || true
exit 1
