#!/bin/sh
# libopenapi-validator 0.16.3 (github.com/pb33f/libopenapi-validator) on the queries of
# requests, and on objects with names that a client chooses.
#
# It does not check the items of a list against their pattern, and accepts a parameter that
# comes twice, although it is not a list. Strict mode, which finds members that are not
# declared, also reports those that additionalProperties describes.
#
# Ends with 0 if it still does so. Needs Go 1.25 or later and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'MOD'
module finding

go 1.25

require github.com/pb33f/libopenapi-validator v0.16.3
MOD
cat >main.go <<'GO'
package main

import (
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
)

const document = `
openapi: 3.1.0
info: {title: x, version: '1'}
paths:
  /x/{id}:
    get:
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
        - {name: tag, in: query, schema: {type: array, items: {type: string, pattern: '^[a-z]+=[a-z]+$'}}}
        - {name: limit, in: query, schema: {type: integer}}
      responses: {'204': {description: done}}
  /y:
    put:
      requestBody:
        content:
          application/json:
            schema: {type: object, properties: {tags: {$ref: '#/components/schemas/Tags'}}}
      responses: {'204': {description: done}}
components:
  schemas:
    Tags: {type: object, additionalProperties: {type: string}}
`

func main() {
	parsed, err := libopenapi.NewDocument([]byte(document))
	if err != nil {
		panic(err)
	}
	v, errs := validator.NewValidator(parsed, config.WithStrictMode(), config.WithStrictIgnorePaths("$.headers.**"))
	if errs != nil {
		panic(errs)
	}
	try := func(what, method, target, body string) {
		r := httptest.NewRequest(method, "http://localhost"+target, strings.NewReader(body))
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		ok, found := v.ValidateHttpRequest(r)
		fmt.Printf("%-16s %v", what, ok)
		for _, e := range found {
			fmt.Print(" ", e.Message)
		}
		fmt.Println()
	}
	try("valid", "GET", "/x/a?limit=1", "")
	try("a right item", "GET", "/x/a?tag=a%3Db", "")
	try("a wrong item", "GET", "/x/a?tag=1", "")
	try("twice", "GET", "/x/a?limit=1&limit=2", "")
	try("a described name", "PUT", "/y", `{"tags":{"a":"b"}}`)
}
GO
go mod tidy >log 2>&1 && go build -o finding . >>log 2>&1 || { cat log; exit 2; }
./finding >seen 2>&1 || true
cat >expected <<'OUT'
valid            true
a right item     true
a wrong item     true
twice            true
a described name false request property 'a' at '$.body.tags.a' is not declared in schema
OUT
if cmp -s expected seen; then
	echo "libopenapi-validator 0.16.3, $(go version):"
	cat seen
	exit 0
fi
echo "libopenapi-validator does something else now:"
diff expected seen || true
exit 1
