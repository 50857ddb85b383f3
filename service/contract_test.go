package service

import (
	"maps"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/contract"
)

// The contract and the service have the same kinds of problems, with the same statuses.
func TestKindsAreTheContract(t *testing.T) {
	document, err := contract.New()
	if err != nil {
		t.Fatal(err)
	}
	served := make(map[string]int, len(statuses))
	for kind, status := range statuses {
		served[string(kind)] = status
	}
	if want := document.Kinds(); !maps.Equal(want, served) {
		t.Errorf("the kinds of the contract are %v, the service has %v", want, served)
	}
}
