// Package api is the contract of the service: which requests it takes, and what
// it answers.
package api

import _ "embed"

// OpenAPI is the contract as an OpenAPI 3.1 document, in YAML. A service serves
// it at /openapi.yaml. It may not be changed.
//
//go:embed openapi.yaml
var OpenAPI []byte
