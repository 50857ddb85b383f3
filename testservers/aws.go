package main

import (
	"context"
	"encoding/json"
	"fmt"
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
	return []variable{
		// What nebula, and AWS's own tools, read.
		{"AWS_ENDPOINT_URL_SECRETS_MANAGER", ready.Address},
		{"AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"},
		{"AWS_SECRET_ACCESS_KEY", "moto-takes-any-secret-key"},
		{"AWS_REGION", "us-east-1"},
		// What would come before these, or take part: the user's own account.
		{"AWS_SESSION_TOKEN", ""},
		{"AWS_PROFILE", ""},
		{"AWS_CONFIG_FILE", os.DevNull},
		{"AWS_SHARED_CREDENTIALS_FILE", os.DevNull},
		{"AWS_EC2_METADATA_DISABLED", "true"},
		// What the live tests use instead of a server of their own.
		{"NEBULA_TEST_AWS_ENDPOINT", ready.Address},
	}, nil
}

// script is what the interpreter of an environment runs: serve.py, two folders up.
func script(python string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(python)), "serve.py")
}
