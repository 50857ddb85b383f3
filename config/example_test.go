package config_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/provider"
)

// The configuration chooses the backend. The program is the same for every backend, and
// so is its monitoring.
func Example() {
	ctx := context.Background()
	home, err := os.MkdirTemp("", "nebula-example-") // stands for the user's home directory
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(home)

	c, err := config.Load(config.Source{Environ: []string{"HOME=" + home, "NEBULA_STORAGE_PROVIDER=local",
		"NEBULA_STORAGE_LOCAL_BASE_PATH=" + filepath.Join(home, "credentials"), "NEBULA_KEY_FILE=" + filepath.Join(home, "key")}})
	if err != nil {
		log.Fatal(err)
	}
	metrics := new(provider.StorageMetrics)
	store, err := c.Open(ctx, "", config.OpenOptions{Provider: []provider.Option{provider.WithMetrics(metrics)}})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	if _, err := store.Put(ctx, "db_password", nebula.NewSecret([]byte("s3cret")), nebula.PutOptions{}); err != nil {
		log.Fatal(err)
	}
	password, err := store.Get(ctx, "db_password")
	if err != nil {
		log.Fatal(err)
	}
	defer password.Secret.Wipe()
	fmt.Println(password.Secret, "on", c.Provider(""))
	fmt.Println(metrics.StoreCount(), "stores: the keyring and the password")
	// Output:
	// [REDACTED] on local
	// 2 stores: the keyring and the password
}
