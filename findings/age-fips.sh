#!/bin/sh
# filippo.io/age 1.3.2 under GODEBUG=fips140=only (Go 1.26).
#
# An X25519 identity is made without an error, and its recipient holds no key:
# "age1" and a checksum, 10 characters and not 62. Only encrypting to it fails.
# If a program prints the recipient first, nobody can use it.
#
# Ends with 0 if age still does so. Needs Go and a module proxy.
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
	"io"

	"filippo.io/age"
)

func main() {
	id, err := age.GenerateX25519Identity()
	fmt.Println("generating:", err)
	if err != nil {
		return
	}
	fmt.Println("characters of the recipient:", len(id.Recipient().String()))
	_, err = age.Encrypt(io.Discard, id.Recipient())
	fmt.Println("encrypting:", err)
}
GO
go get filippo.io/age@v1.3.2 >log 2>&1 || { cat log; exit 2; }
go build -o finding . >log 2>&1 || { cat log; exit 2; }
cat >expected <<'OUT'
generating: <nil>
characters of the recipient: 10
encrypting: failed to wrap key for recipient #0: crypto/ecdh: use of X25519 is not allowed in FIPS 140-only mode
OUT
GODEBUG=fips140=only ./finding >seen 2>&1 || true
if cmp -s expected seen; then
	echo "filippo.io/age v1.3.2, $(go env GOVERSION):"
	cat seen
	exit 0
fi
echo "age does something else now:"
diff expected seen || true
exit 1
