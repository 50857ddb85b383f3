package migrate_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/migrate"
	"github.com/nebula-credential/nebula/provider/memory"
)

// Records of version 1 are taken over from their directory, and those that
// cannot be are named.
func Example() {
	if err := takeOver(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// migrated: [token]
	// left: -old.cred (invalid id)
}

func takeOver(ctx context.Context) error {
	base, err := os.MkdirTemp("", "migrate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)
	old := filepath.Join(base, "old")
	if err := makeOldRecords(old, "token", "-old"); err != nil {
		return err
	}
	p, err := memory.New(memory.DefaultConfig())
	if err != nil {
		return err
	}
	own := &nebula.KeyFile{Path: filepath.Join(base, "key")}
	if err := nebula.CreateKeyFile(own.Path); err != nil {
		return err
	}
	store, err := nebula.Open(ctx, p, nebula.Options{Keys: []nebula.Key{own}})
	if err != nil {
		return err
	}
	defer store.Close()
	if _, err := store.Init(ctx, own); err != nil {
		return err
	}

	key, err := migrate.ParseKey([]byte("0102030000000000000000000000000000000000000000000000000000000000\n"))
	if err != nil {
		return err
	}
	defer key.Wipe()
	report, err := migrate.Dir(ctx, store, old, key, migrate.Options{})
	fmt.Println("migrated:", report.Migrated)
	for _, l := range report.Left {
		fmt.Printf("left: %s (%v)\n", l.File, l.Kind)
	}
	return err
}

// makeOldRecords stands in for the program that wrote them.
func makeOldRecords(dir string, ids ...string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, id := range ids {
		record := newV1([32]byte{1, 2, 3}, []byte("value")).text()
		if err := os.WriteFile(filepath.Join(dir, id+".cred"), record, 0o600); err != nil {
			return err
		}
	}
	return nil
}
