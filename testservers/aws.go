package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// awsServer is moto, an independent Secrets Manager in Python: see aws/.
type awsServer struct{}

func (awsServer) name() string { return "aws" }

func (awsServer) binaries() []binary {
	return []binary{{name: "aws", python: "aws", note: "a minute"}}
}

func (a awsServer) start(ctx context.Context, s *session) ([]variable, error) {
	python, err := s.tools.ensure(ctx, a.binaries()[0])
	if err != nil {
		return nil, err
	}
	line, err := s.startAndReadLine(ctx, "aws", python, "-I", script(python))
	if err != nil {
		return nil, err
	}
	var ready struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		return nil, fmt.Errorf("what it printed: %w", err)
	}
	if err := makeKMSKey(ctx, ready.Address); err != nil {
		return nil, err
	}
	return []variable{
		// Nebula and AWS's own tools read these.
		{"AWS_ENDPOINT_URL_SECRETS_MANAGER", ready.Address},
		{"AWS_ENDPOINT_URL_KMS", ready.Address},
		{"AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"},
		{"AWS_SECRET_ACCESS_KEY", "moto-takes-any-secret-key"},
		{"AWS_REGION", "us-east-1"},
		// Without these, the user's own account would count.
		{"AWS_SESSION_TOKEN", ""},
		{"AWS_PROFILE", ""},
		{"AWS_CONFIG_FILE", os.DevNull},
		{"AWS_SHARED_CREDENTIALS_FILE", os.DevNull},
		{"AWS_EC2_METADATA_DISABLED", "true"},
		// A key that can open a store: docs/keys/aws-kms.md.
		{"NEBULA_TESTSERVER_AWS_KMS_KEY", kmsAlias},
		// With this, the live tests start no server of their own.
		{"NEBULA_TEST_AWS_ENDPOINT", ready.Address},
	}, nil
}

const kmsAlias = "alias/nebula"

// makeKMSKey makes a key of KMS. moto takes service and region from the scope of a
// signature, and does not check the signature.
func makeKMSKey(ctx context.Context, address string) error {
	call := func(operation string, in, out any) error {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/x-amz-json-1.1")
		request.Header.Set("X-Amz-Target", "TrentService."+operation)
		request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("moto: %s: status %d", operation, response.StatusCode)
		}
		if out == nil {
			return nil
		}
		return json.NewDecoder(response.Body).Decode(out)
	}
	var made struct{ KeyMetadata struct{ KeyId string } }
	if err := call("CreateKey", map[string]string{"KeyUsage": "ENCRYPT_DECRYPT"}, &made); err != nil {
		return err
	}
	return call("CreateAlias", map[string]string{"AliasName": kmsAlias, "TargetKeyId": made.KeyMetadata.KeyId}, nil)
}

// script returns the path of serve.py, two folders above the interpreter of an environment.
func script(python string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(python)), "serve.py")
}
