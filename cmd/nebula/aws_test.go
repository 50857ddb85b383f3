package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// The whole command on moto, configured only by AWS's own variables.
func TestLiveScriptsAWS(t *testing.T) {
	runScripts(t, filepath.Join("testdata", "live", "aws"), onAWS(t))
}

func onAWS(t *testing.T) func(*testscript.Env) {
	s := livetest.AWS(t)
	return func(env *testscript.Env) {
		env.Setenv("NEBULA_STORAGE_PROVIDER", "aws")
		env.Setenv("AWS_REGION", s.Region(t))
		env.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", s.Endpoint)
		env.Setenv("AWS_ACCESS_KEY_ID", s.AccessKeyID)
		env.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretAccessKey)
		env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	}
}
