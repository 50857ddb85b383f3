package testclients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/nebulatest"
)

// Schemathesis makes valid and invalid requests from the contract, and checks the answers.
// The memory backend has every ability. NEBULA_SCHEMATHESIS_SEED chooses other requests,
// NEBULA_SCHEMATHESIS_EXAMPLES their number.
func TestSchemathesis(t *testing.T) {
	program, env := python(t)
	l := serve(t, nebulatest.NewStore(t).Store)
	setting := func(name, otherwise string) string {
		if value := os.Getenv(name); value != "" {
			return value
		}
		return otherwise
	}
	report := output(t, t.TempDir(), append(env, "NEBULA_TOKEN="+l.token("schemathesis")), program, filepath.Join(strings.TrimPrefix(env[0], "PYTHONPATH="), "bin", "schemathesis"),
		"--config-file", absolute(t, "programs/schemathesis.toml"), "run", absolute(t, contract), "--url", strings.TrimSuffix(l.url, "/"),
		"--checks", "all", "--max-examples", setting("NEBULA_SCHEMATHESIS_EXAMPLES", "30"), "--seed", setting("NEBULA_SCHEMATHESIS_SEED", "1"), "--no-color")
	var made, passed int
	_, counts, _ := strings.Cut(report, "Test cases:")
	if _, err := fmt.Sscanf(strings.TrimSpace(counts), "%d generated, %d passed", &made, &passed); err != nil || made < 300 || passed != made {
		t.Error(report)
	}
	t.Logf("%d requests", made)
}
