package local_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/local"
)

// A record is kept after two reads, and is read again as soon as anything about its
// file has changed.
func TestRecordsAreKept(t *testing.T) {
	t.Parallel()
	config := local.DefaultConfig()
	config.BasePath = filepath.Join(t.TempDir(), "store")
	store, key := newKeptStore(t, config)
	other, err := nebula.Open(t.Context(), newLocal(t, config), nebula.Options{Keys: []nebula.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	path := filepath.Join(config.BasePath, "a.enc.json")
	put := func(s *nebula.Store, value string) {
		t.Helper()
		if _, err := s.Put(t.Context(), "a", nebula.NewSecret([]byte(value)), nebula.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	read := func() *nebula.Envelope {
		t.Helper()
		r, err := store.GetSealed(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return r.Envelope
	}
	put(store, "1")
	read()
	if first := read(); read() == first { // what is read a second time can be kept
		t.Error("it was kept although it changed just now")
	}
	settle := func() *nebula.Envelope {
		t.Helper()
		time.Sleep(2100 * time.Millisecond)
		read()
		first := read()
		if read() != first {
			t.Error("it was read again although it had not changed")
		}
		return first
	}
	before := settle()
	put(other, "2") // of the same length
	after := read()
	if after == before || bytes.Equal(after.Bytes(), before.Bytes()) {
		t.Error("the write of another process was not seen")
	}
	settle()

	// Now it is changed in place, with the same length and times.
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("?"), 0); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.GetSealed(t.Context(), "a"); nebula.KindOf(err) != nebula.ErrCorrupted {
		t.Errorf("a file that was changed in place gives %v", err)
	}
	if err := os.WriteFile(path, before.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	settle()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.GetSealed(t.Context(), "a"); nebula.KindOf(err) != nebula.ErrNotFound {
		t.Errorf("a file that is gone gives %v", err)
	}
	if err := os.Symlink(path+".away", path); err != nil {
		t.Skip("no links here: ", err)
	}
	if _, err := store.GetSealed(t.Context(), "a"); err == nil {
		t.Error("a link to the file that was there is followed")
	}
}

func newLocal(t *testing.T, config local.Config) nebula.Provider {
	t.Helper()
	p, err := local.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newKeptStore(t *testing.T, config local.Config) (*nebula.Store, nebula.Key) {
	t.Helper()
	key := &nebula.KeyFile{Path: filepath.Join(t.TempDir(), "key")}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		t.Fatal(err)
	}
	store, err := nebula.Open(t.Context(), newLocal(t, config), nebula.Options{Keys: []nebula.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if _, err := store.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return store, key
}
