package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// The command on a real Kubernetes API server, in a namespace of its own.
func TestLiveScriptsKubernetes(t *testing.T) {
	runScripts(t, filepath.Join("testdata", "live", "kubernetes"), onKubernetes(t))
}

func onKubernetes(t *testing.T) func(*testscript.Env) {
	s := livetest.Kubernetes(t)
	return func(env *testscript.Env) {
		env.Setenv("NEBULA_STORAGE_PROVIDER", "kubernetes")
		env.Setenv("KUBERNETES_NAMESPACE", s.Namespace(t))
		env.Setenv("KUBECONFIG", s.Kubeconfig(t, map[string]any{"token": s.AdminToken}, ""))
	}
}
