package process

import (
	"os"
	"slices"
	"testing"
)

func TestChildEnvironment(t *testing.T) {
	environ := []string{"PATH=/bin", "NEBULA_PASSPHRASE=x", "NEBULA_PASSPHRASE_FILE=x", "NEBULA_NEW_PASSPHRASE=x",
		"NEBULA_NEW_PASSPHRASE_FILE=x", "NEBULA_KEY_FILE=x", "NEBULA_KEY=x", "NEBULA_AGENT_SOCK=x", "nebula_passphrase=x", "NEBULA_CONFIG=c"}
	before := slices.Clone(environ)
	if got := ChildEnvironment(environ); !slices.Equal(got, []string{"PATH=/bin", "NEBULA_CONFIG=c"}) {
		t.Errorf("got %v", got)
	}
	if !slices.Equal(environ, before) {
		t.Errorf("the environment itself became %v", environ)
	}
}

func TestForget(t *testing.T) {
	t.Setenv("NEBULA_PASSPHRASE", "x")
	t.Setenv("NEBULA_CONFIG", "c")
	Forget()
	if _, ok := os.LookupEnv("NEBULA_PASSPHRASE"); ok {
		t.Error("the passphrase is still there")
	}
	if os.Getenv("NEBULA_CONFIG") != "c" {
		t.Error("other variables were removed too")
	}
}
