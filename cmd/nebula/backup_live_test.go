package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// A backup of a store of files becomes a store on each backend. An export of that store
// is the same backup.
func TestLiveBackups(t *testing.T) {
	t.Parallel() // it mostly waits
	for backend, on := range map[string]func(*testing.T) func(*testscript.Env){
		"vault": onVault, "kubernetes": onKubernetes, "aws": onAWS, "azure": onAzure,
	} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			set := on(t)
			runScripts(t, filepath.Join("testdata", "live", "backup"), func(env *testscript.Env) {
				set(env)
				env.Setenv("BACKEND", backend)
			})
		})
	}
}

// records FILE FILE compares two exports: their keyrings and records.
func scriptRecords(ts *testscript.TestScript, neg bool, args []string) {
	var records [2][]byte
	for i := range records {
		lines := bytes.SplitAfter([]byte(ts.ReadFile(args[i])), []byte("\n"))
		records[i] = bytes.Join(lines[1:len(lines)-2], nil)
	}
	if bytes.Equal(records[0], records[1]) == neg {
		ts.Fatalf("the records of %s and %s: the same is %v", args[0], args[1], neg)
	}
}
