package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
)

// kubernetesServer is kube-apiserver and etcd, built from their Go modules: see
// kubernetes/.
type kubernetesServer struct{}

func (kubernetesServer) name() string { return "kubernetes" }

// Kubernetes needs other versions of some modules than Vault: it is a module of its own.
func (kubernetesServer) binaries() []binary {
	return []binary{{name: "kubernetes", module: "kubernetes", pkg: ".", note: "about 7 minutes on 2 cores at first"}}
}

func (k kubernetesServer) start(ctx context.Context, s *session) ([]variable, error) {
	path, err := s.tools.ensure(ctx, k.binaries()[0])
	if err != nil {
		return nil, err
	}
	line, err := s.startAndReadLine(ctx, "kubernetes", path, "-dir", filepath.Join(s.dir, "kubernetes"))
	if err != nil {
		return nil, err
	}
	var ready struct {
		Address    string `json:"address"`
		CAFile     string `json:"ca_file"`
		AdminToken string `json:"admin_token"`
		Kubeconfig string `json:"kubeconfig"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		return nil, fmt.Errorf("what it printed: %w", err)
	}
	return []variable{
		// Nebula and Kubernetes' own tools read this. The namespace "default" is there.
		{"KUBECONFIG", ready.Kubeconfig},
		// With these, the live tests start no server of their own.
		{"NEBULA_TEST_KUBERNETES_ADDR", ready.Address},
		{"NEBULA_TEST_KUBERNETES_TOKEN", ready.AdminToken},
		{"NEBULA_TEST_KUBERNETES_CACERT", ready.CAFile},
	}, nil
}
