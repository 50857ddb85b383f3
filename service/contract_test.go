package service

import (
	"maps"
	"slices"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/contract"
)

// What is served is in the contract, and the other way round. That requests and
// answers are as it says, the suite shows.
func TestRoutesAreTheContract(t *testing.T) {
	document, err := contract.New()
	if err != nil {
		t.Fatal(err)
	}
	served := make(map[string][]string)
	for _, r := range newRoutes().all {
		for _, op := range r.operations {
			served[r.pattern] = append(served[r.pattern], op.method)
		}
		slices.Sort(served[r.pattern])
	}
	served["/page/{file}"] = served["/"] // see routes.find
	for path, methods := range document.Methods() {
		if !slices.Equal(served[path], methods) {
			t.Errorf("%s has %v in the contract, %v are served", path, methods, served[path])
		}
		delete(served, path)
	}
	for path, methods := range served {
		t.Errorf("%s with %v is not in the contract", path, methods)
	}
	if !maps.Equal(document.Kinds(), text(statuses)) {
		t.Errorf("the kinds of the contract are %v, the service has %v", document.Kinds(), statuses)
	}
}

func text(statuses map[nebula.Kind]int) map[string]int {
	all := make(map[string]int, len(statuses))
	for kind, status := range statuses {
		all[string(kind)] = status
	}
	return all
}
