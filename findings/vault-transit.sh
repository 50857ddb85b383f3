#!/bin/sh
# github.com/hashicorp/vault 1.21.3: the transit engine, with damage and with
# associated data.
#
# A damaged ciphertext of an AES or ChaCha20 key is refused with 400, like any other
# mistake of the caller. A damaged one of an RSA key is refused with 500: a client that
# takes 5xx for an outage repeats it, and reports an outage.
#
# A ciphertext that was made with associated_data decrypts with the same again. It cannot
# be rewrapped for a newer version of the key: rewrap has no such parameter, drops it if
# it is given, and then says that the message authentication failed.
#
# Ends with 0 if transit still does so. Needs Go and a module proxy. It uses an older sdk
# of Vault, because 1.21.3 compiles with no other published one.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'MOD'
module finding

go 1.26

replace github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.20.0
MOD
cat >main.go <<'GO'
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/logical"
)

func main() {
	storage := &logical.InmemStorage{}
	engine, err := transit.Factory(context.Background(), &logical.BackendConfig{
		StorageView: storage, Logger: hclog.NewNullLogger(), System: &logical.StaticSystemView{}, BackendUUID: "finding"})
	if err != nil {
		panic(err)
	}
	// write makes the request that HTTP would, and returns status and words.
	write := func(path, field string, data map[string]any) (value, refusal string) {
		request := &logical.Request{Operation: logical.UpdateOperation, Path: path, Data: data, Storage: storage}
		response, err := engine.HandleRequest(context.Background(), request)
		if code, said := logical.RespondErrorCommon(request, response, err); said != nil {
			return "", fmt.Sprint(code, " ", said)
		}
		value, _ = response.Data[field].(string)
		return value, "done"
	}
	encode := base64.StdEncoding.EncodeToString
	secret, bound := encode([]byte("secret")), encode([]byte("bound"))
	for _, kind := range []string{"aes256-gcm96", "chacha20-poly1305", "rsa-2048"} {
		write("keys/"+kind, "", map[string]any{"type": kind})
		ciphertext, _ := write("encrypt/"+kind, "ciphertext", map[string]any{"plaintext": secret})
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(ciphertext, "vault:v1:"))
		raw[len(raw)/2] ^= 1
		_, refusal := write("decrypt/"+kind, "", map[string]any{"ciphertext": "vault:v1:" + encode(raw)})
		fmt.Printf("damaged, %s: %s\n", kind, refusal)
	}
	ciphertext, _ := write("encrypt/aes256-gcm96", "ciphertext", map[string]any{"plaintext": secret, "associated_data": bound})
	with := map[string]any{"ciphertext": ciphertext, "associated_data": bound}
	plaintext, _ := write("decrypt/aes256-gcm96", "plaintext", with)
	fmt.Println("decrypted with its associated data:", plaintext == secret)
	_, refusal := write("rewrap/aes256-gcm96", "", with)
	fmt.Println("rewrapped with its associated data:", refusal)
}
GO
go get github.com/hashicorp/vault@v1.21.3 github.com/hashicorp/vault/sdk@v0.21.0 >log 2>&1 && go mod tidy >>log 2>&1 || { cat log; exit 2; }
go build -o finding . >log 2>&1 || { cat log; exit 2; }
cat >expected <<'OUT'
damaged, aes256-gcm96: 400 cipher: message authentication failed
damaged, chacha20-poly1305: 400 chacha20poly1305: message authentication failed
damaged, rsa-2048: 500 failed to RSA decrypt the ciphertext: crypto/rsa: decryption error
decrypted with its associated data: true
rewrapped with its associated data: 400 cipher: message authentication failed
OUT
./finding >seen 2>&1 || true
if cmp -s expected seen; then
	echo "vault v1.21.3, $(go env GOVERSION):"
	cat seen
	exit 0
fi
echo "transit does something else now:"
diff expected seen || true
exit 1
