// Package api is the contract of the service: its requests and answers.
package api

import _ "embed"

// OpenAPI is the contract as an OpenAPI 3.1 document, in YAML. A service serves
// it at /openapi.yaml. Do not change the bytes.
//
//go:embed openapi.yaml
var OpenAPI []byte
