package local

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// seeds are the first inputs when names are fuzzed.
func seeds() []string {
	return []string{"id.enc.json", ".keyring.enc.json", ".lock", ".enc.json", "a.b.enc.json", "id.enc.jsonx",
		"-id.enc.json", "con.enc.json", "GitHub-Token_1.enc.json", "../id.enc.json", "é.enc.json", "id", "a", "\x86", ""}
}

func TestSeedsOfNames(t *testing.T) {
	ids := 0
	for _, file := range seeds() {
		if _, ok := (naming{suffix: ".enc.json"}).id(file); ok {
			ids++
		}
	}
	if ids != 2 {
		t.Errorf("the seeds have %d names of credentials, want 2", ids)
	}
}

// FuzzNames: a file belongs to one credential or to none, and no credential has the
// name of any other file.
func FuzzNames(f *testing.F) {
	for _, file := range seeds() {
		f.Add(file)
	}
	n := naming{suffix: ".enc.json"}
	f.Fuzz(func(t *testing.T, file string) {
		id, ok := n.id(file)
		if ok {
			name, err := id.Name()
			if err != nil || n.file(name) != file {
				t.Errorf("%q is the file of %q, whose file is %q, %v", file, id, n.file(name), err)
			}
			if file == lockName || file == keyringFile(n) || atomicfile.IsTemp(file) || filepath.Base(file) != file {
				t.Errorf("%q is the file of the credential %q", file, id)
			}
		}
		if name, err := nebula.ID(file).Name(); err == nil {
			if back, ok := n.id(n.file(name)); !ok || string(back) != file {
				t.Errorf("the id %q comes back as %q", file, back)
			}
		}
		swapped, _ := swapCase(file)
		if back, _ := swapCase(swapped); back != file {
			t.Errorf("swapping the case of %q twice gives %q", file, back)
		}
	})
}

func TestSwapCase(t *testing.T) {
	for name, want := range map[string]string{"azAZmM.09": "AZazMm.09", "@[`{": "@[`{", "": ""} {
		if got, letters := swapCase(name); got != want || letters != (name != want) {
			t.Errorf("%q becomes %q, with letters: %v", name, got, letters)
		}
	}
}

// TestTwins tests the work for a file system that folds case on one that may not: it
// finds the twin by the names in the directory.
func TestTwins(t *testing.T) {
	dir := t.TempDir()
	n := naming{suffix: ".enc.json"}
	d, err := atomicfile.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := &base{Dir: d}
	if folds, err := b.foldsCase(n); folds || err != nil || b.folds.Load() != foldUnknown {
		t.Errorf("an empty directory: %v, %v, %d", folds, err, b.folds.Load())
	}
	if err := os.WriteFile(filepath.Join(dir, "Token.enc.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = os.Lstat(filepath.Join(dir, "tOKEN.enc.json"))
	folds, unexpected := b.foldsCase(n)
	if unexpected != nil || folds != (err == nil) || b.folds.Load() == foldUnknown {
		t.Errorf("folds %v, %v, %d; another case gives %v", folds, unexpected, b.folds.Load(), err)
	}
	b.folds.Store(foldYes)
	for file, want := range map[string]string{"token.enc.json": "Token.enc.json", "Token.enc.json": "", "other.enc.json": ""} {
		if twin, err := b.twin(n, file); twin != want || err != nil {
			t.Errorf("the twin of %s is %q, %v; want %q", file, twin, err, want)
		}
	}
	if folds {
		return
	}
	// Of two that are there, whatever the order in which they are listed, none is.
	if err := os.WriteFile(filepath.Join(dir, "token.enc.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, folds := range []int32{foldYes, foldNo} {
		b.folds.Store(folds)
		for _, file := range []string{"token.enc.json", "Token.enc.json"} {
			if twin, err := b.twin(n, file); twin != "" || err != nil {
				t.Errorf("the twin of %s is %q, %v", file, twin, err)
			}
		}
	}
}

// TestRestrictOn: no hint says chmod on a system where that changes nothing.
func TestRestrictOn(t *testing.T) {
	for system, want := range map[string]string{
		"":      "chmod",
		"FUSE":  "chmod; if that changes nothing, the mount sets the modes: use its option umask=077",
		"FAT":   "the mount of FAT sets the modes: use its option umask=077",
		"SMB":   "the mount of SMB sets the modes: use its options dir_mode=0700,file_mode=0600",
		"smbfs": "the mount of smbfs sets the modes: use its options dir_mode=0700,file_mode=0600",
	} {
		if got := restrictOn(system, "chmod"); got != want {
			t.Errorf("%s: %q, want %q", system, got, want)
		}
	}
}
