package local_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/local"
)

func Example() {
	home, err := os.MkdirTemp("", "nebula-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(home)

	// The key is never beside what it opens.
	key := &nebula.KeyFile{Path: filepath.Join(home, "keys", "key")}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		log.Fatal(err)
	}
	config := local.DefaultConfig()
	config.BasePath = filepath.Join(home, "credentials")
	provider, err := local.New(config)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	store, err := nebula.Open(ctx, provider, nebula.Options{Keys: []nebula.Key{key}})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Init(ctx, key); err != nil {
		log.Fatal(err)
	}
	if _, err := store.Put(ctx, "github_token", nebula.NewSecret([]byte("ghp_example")), nebula.PutOptions{}); err != nil {
		log.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(config.BasePath, "github_token.enc.json"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Name())
	// Output: github_token.enc.json
}
