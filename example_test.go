package nebula_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/provider/memory"
)

// exampleStore is an initialised store on the memory provider.
func exampleStore(ctx context.Context) *nebula.Store {
	dir, err := os.MkdirTemp("", "nebula-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	key := &nebula.KeyFile{Path: filepath.Join(dir, "key")}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		log.Fatal(err)
	}
	provider, err := memory.New(memory.DefaultConfig())
	if err != nil {
		log.Fatal(err)
	}
	store, err := nebula.Open(ctx, provider, nebula.Options{
		Keys: []nebula.Key{key},
		Pins: nebula.NewPinFile(filepath.Join(dir, "known_stores")),
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := store.Init(ctx, key); err != nil {
		log.Fatal(err)
	}
	return store
}

func Example() {
	ctx := context.Background()
	store := exampleStore(ctx)
	defer store.Close()

	_, err := store.Put(ctx, "github_token", nebula.NewSecret([]byte("ghp_example")), nebula.PutOptions{
		Tags: map[string]string{"env": "prod"},
	})
	if err != nil {
		log.Fatal(err)
	}
	credential, err := store.Get(ctx, "github_token")
	if err != nil {
		log.Fatal(err)
	}
	defer credential.Secret.Wipe()
	fmt.Println(credential.Secret, credential.Metadata.Tags)
	fmt.Printf("%s\n", credential.Secret.Reveal())
	// Output:
	// [REDACTED] map[env:prod]
	// ghp_example
}

// A store on files whose data key is remembered. The next process notices if somebody
// replaces the data key, or puts older records back.
func ExampleNewPinFile() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "nebula-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	key := &nebula.KeyFile{Path: filepath.Join(dir, "key")}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		log.Fatal(err)
	}
	open := func(name string) *nebula.Store {
		config := local.DefaultConfig()
		config.BasePath = filepath.Join(dir, name)
		provider, err := local.New(config)
		if err != nil {
			log.Fatal(err)
		}
		store, err := nebula.Open(ctx, provider, nebula.Options{
			Keys:          []nebula.Key{key},
			Pins:          nebula.NewPinFile(filepath.Join(dir, "state", "known_stores")),
			RollbackGuard: nebula.NewGuardFile(filepath.Join(dir, "state", "guard")),
		})
		if err != nil {
			log.Fatal(err)
		}
		return store
	}
	for _, name := range []string{"mine", "theirs"} {
		store := open(name)
		if _, err := store.Init(ctx, key); err != nil {
			log.Fatal(err)
		}
		store.Close()
	}
	err = os.Rename(filepath.Join(dir, "mine"), filepath.Join(dir, "moved"))
	if err == nil {
		err = os.Rename(filepath.Join(dir, "theirs"), filepath.Join(dir, "mine"))
	}
	if err != nil {
		log.Fatal(err)
	}
	store := open("mine")
	defer store.Close()
	_, err = store.Put(ctx, "github_token", nebula.NewSecret([]byte("ghp_example")), nebula.PutOptions{})
	fmt.Println(errors.Is(err, nebula.ErrUntrustedKey))
	// Output: true
}

func ExampleStore_List() {
	ctx := context.Background()
	store := exampleStore(ctx)
	defer store.Close()
	for _, id := range []nebula.ID{"db_password", "db_user", "smtp_password"} {
		if _, err := store.Put(ctx, id, nebula.NewSecret([]byte("…")), nebula.PutOptions{}); err != nil {
			log.Fatal(err)
		}
	}
	for entry, err := range store.List(ctx, nebula.ListOptions{Filter: nebula.Filter{Prefix: "db_"}}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.ID)
	}
	// Unordered output:
	// db_password
	// db_user
}

// The value is replaced only if nobody else has replaced it since the read.
func ExampleStore_Put_ifVersion() {
	ctx := context.Background()
	store := exampleStore(ctx)
	defer store.Close()
	first, err := store.Put(ctx, "counter", nebula.NewSecret([]byte("1")), nebula.PutOptions{IfAbsent: true})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := store.Put(ctx, "counter", nebula.NewSecret([]byte("2")), nebula.PutOptions{IfVersion: first}); err != nil {
		log.Fatal(err)
	}
	_, err = store.Put(ctx, "counter", nebula.NewSecret([]byte("3")), nebula.PutOptions{IfVersion: first})
	fmt.Println(errors.Is(err, nebula.ErrConflict))
	// Output: true
}

func ExampleKindOf() {
	ctx := context.Background()
	store := exampleStore(ctx)
	defer store.Close()
	_, err := store.Get(ctx, "missing")
	fmt.Println(string(nebula.KindOf(err)))
	fmt.Println(err)
	// Output:
	// not_found
	// retrieve "missing" (memory): there is no such credential
}
