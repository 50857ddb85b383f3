package nebula_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A program that imports only the core and the local provider gets no cloud SDK, and
// nothing of the command. This test lists what these packages may import.
//
// Each package of unlock adds only what opens its kind of slot.
func TestImportFence(t *testing.T) {
	core := []string{
		"github.com/nebula-credential/nebula",
		"golang.org/x/crypto/", "golang.org/x/sync/", "golang.org/x/sys/", "golang.org/x/text/",
	}
	more := map[string][]string{
		".": nil, "./provider/local": {"github.com/fsnotify/fsnotify"}, "./provider/memory": nil, "./provider": nil, "./providertest": nil, "./transfer": nil,
		"./unlock/agent":     nil,
		"./unlock/transit":   nil,
		"./unlock/recipient": {"filippo.io/", "golang.org/x/term"},
		"./unlock/azurekey":  {"github.com/Azure/", "github.com/AzureAD/", "github.com/golang-jwt/jwt", "github.com/google/uuid", "github.com/kylelemons/godebug", "github.com/pkg/browser", "golang.org/x/net"},
		"./unlock/awskms":    {"github.com/aws/"},
		"./unlock/keychain":  {"github.com/godbus/dbus/v5", "github.com/zalando/go-keyring", "github.com/danieljoos/wincred"},
	}
	for pkg, extra := range more {
		allowed := append(core[:len(core):len(core)], extra...)
		out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg).Output()
		if err != nil {
			t.Fatalf("%s: %v", pkg, err)
		}
		deps := strings.Fields(string(out))
		if len(deps) == 0 {
			t.Fatalf("%s: no packages were listed", pkg)
		}
		for _, dep := range deps {
			if !hasAnyPrefix(dep, allowed) {
				t.Errorf("%s pulls in %s", pkg, dep)
			}
		}
	}
}

// Any provider can be deleted without a change to the others, and the core imports
// none of them.
func TestProvidersKnowOnlyTheCore(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}: {{join .Imports \" \"}}", ".", "./provider/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), ": ")
		for _, dep := range strings.Fields(imports) {
			if strings.HasPrefix(dep, "github.com/nebula-credential/nebula/provider/") && !strings.HasPrefix(dep, pkg+"/") {
				t.Errorf("%s imports %s", pkg, dep)
			}
			if strings.HasPrefix(dep, "github.com/nebula-credential/nebula/config") {
				t.Errorf("%s imports the configuration", pkg)
			}
		}
	}
}

// The product imports no test code.
func TestProductKnowsNoTestApparatus(t *testing.T) {
	const apparatus = "github.com/nebula-credential/nebula/internal/testing"
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}: {{join .Imports \" \"}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if strings.HasPrefix(pkg, apparatus+"/") {
			found = true
			continue
		}
		for _, dep := range strings.Fields(imports) {
			if strings.HasPrefix(dep, apparatus) {
				t.Errorf("%s imports %s", pkg, dep)
			}
		}
	}
	if !found {
		t.Errorf("%s has no packages", apparatus)
	}
}

func hasAnyPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
