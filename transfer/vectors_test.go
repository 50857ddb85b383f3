package transfer_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/transfer"
)

// exportVector is a line of the vectors, see docs/format.md.
type exportVector struct {
	Name    string
	Expect  nebula.Kind
	Export  []byte `json:"export_b64"`
	KeyFile string `json:"key_file"`
	Values  map[nebula.ID]string
	Failed  map[nebula.ID]nebula.Kind
}

func exportVectors(t testing.TB) (all []exportVector) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "testdata", "format", "exports.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v exportVector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if len(all) < 40 || lines.Err() != nil {
		t.Fatalf("%d vectors, %v", len(all), lines.Err())
	}
	return all
}

func TestExportVectors(t *testing.T) {
	for _, v := range exportVectors(t) {
		b, err := openBackup(v.Export)
		if err != nil || v.Expect != "ok" {
			if nebula.KindOf(err) != v.Expect {
				t.Errorf("%s: %v, want %s", v.Name, err, string(v.Expect))
			}
			continue
		}
		if again, err := transfer.Rewrite(b); err != nil || string(again) != string(v.Export) {
			t.Errorf("%s: written again, it differs, %v", v.Name, err)
		}
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(v.KeyFile), 0o600); err != nil {
			t.Fatal(err)
		}
		to := emptyStore(t, nebula.Options{Keys: []nebula.Key{&nebula.KeyFile{Path: path}}})
		r, err := transfer.Import(t.Context(), to.Store, b, transfer.ImportOptions{})
		if err != nil || len(r.Imported) != len(v.Values) || len(r.Failed) != len(v.Failed) {
			t.Errorf("%s: %s, %v", v.Name, summary(r), err)
		}
		for _, e := range r.Failed {
			wantKind(t, e.Err, v.Failed[e.ID])
		}
		for id, want := range v.Values {
			c, err := to.Get(t.Context(), id)
			if err != nil || hex.EncodeToString(c.Secret.Reveal()) != want {
				t.Errorf("%s: %s is %q, %v", v.Name, id, c.Secret.Reveal(), err)
			}
		}
	}
}
