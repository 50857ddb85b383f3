#!/bin/sh
# sigs.k8s.io/yaml 1.6.0, with which Go programs around Kubernetes read YAML.
#
# A field that is a string accepts a number or a yes without quotes, in strict mode too,
# and gets another text: password: 0123 is "83", 1.10 is "1.1", and 21 digits are
# rounded to eight. There is no error. YAMLToJSON and a decoder of JSON, as in client-go,
# refuse the number: a reader of kubeconfig files that uses Unmarshal gets another
# password than kubectl, which refuses it.
#
# Ends with 0 if it still does so. Needs Go and a module proxy.
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
	"encoding/json"
	"fmt"

	"sigs.k8s.io/yaml"
)

func main() {
	for _, text := range []string{"0123", `"0123"`, "007", "1.10", "1e3", "1_000", "yes", "123456789012345678901"} {
		var user struct{ Password string }
		err := yaml.UnmarshalStrict([]byte("password: "+text), &user)
		fmt.Printf("%s is %q, error: %v\n", text, user.Password, err)
	}
	text, _ := yaml.YAMLToJSON([]byte("password: 0123"))
	fmt.Println("by JSON:", json.Unmarshal(text, &struct{ Password string }{}))
}
GO
go get sigs.k8s.io/yaml@v1.6.0 >log 2>&1 || { cat log; exit 2; }
go build -o finding . >log 2>&1 || { cat log; exit 2; }
cat >expected <<'OUT'
0123 is "83", error: <nil>
"0123" is "0123", error: <nil>
007 is "7", error: <nil>
1.10 is "1.1", error: <nil>
1e3 is "1000", error: <nil>
1_000 is "1000", error: <nil>
yes is "true", error: <nil>
123456789012345678901 is "1.2345679e+20", error: <nil>
by JSON: json: cannot unmarshal number into Go struct field .Password of type string
OUT
./finding >seen 2>&1 || true
if cmp -s expected seen; then
	echo "sigs.k8s.io/yaml v1.6.0, $(go env GOVERSION):"
	cat seen
	exit 0
fi
echo "yaml does something else now:"
diff expected seen || true
exit 1
