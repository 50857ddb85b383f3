package transfer_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/transfer"
)

// buffer holds an export in memory. A file can hold one, too.
type buffer struct{ bytes.Buffer }

func (b *buffer) Reset() error {
	b.Buffer.Reset()
	return nil
}

// A store is exported, and restored into an empty one. Only the restoring needs the
// key.
func ExampleExport() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	key := &nebula.KeyFile{Path: filepath.Join(dir, "key")}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		fmt.Println(err)
		return
	}
	open := func() *nebula.Store {
		p, err := memory.New(memory.DefaultConfig())
		if err != nil {
			panic(err)
		}
		s, err := nebula.Open(ctx, p, nebula.Options{Keys: []nebula.Key{key}})
		if err != nil {
			panic(err)
		}
		return s
	}
	store := open()
	defer store.Close()
	if _, err := store.Init(ctx, key); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := store.Put(ctx, "github_token", nebula.NewSecret([]byte("ghp_x")), nebula.PutOptions{}); err != nil {
		fmt.Println(err)
		return
	}

	var file buffer
	report, err := transfer.Export(ctx, store, &file, transfer.ExportOptions{})
	fmt.Println("exported:", report.Records, err)

	backup, err := transfer.OpenBackup(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	restored := open()
	defer restored.Close()
	imported, err := transfer.Import(ctx, restored, backup, transfer.ImportOptions{})
	fmt.Println("imported:", imported.Imported, err)
	// Output:
	// exported: 1 <nil>
	// imported: [github_token] <nil>
}
