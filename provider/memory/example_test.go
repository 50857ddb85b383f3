package memory_test

import (
	"context"
	"fmt"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/memory"
)

func example() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// A provider keeps sealed records. Applications seal and open them with a store. Here
// the example seals a record by hand.
func Example() {
	ctx := context.Background()
	p, err := memory.New(memory.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	life, _ := nebula.As[nebula.Connector](p)
	if err := life.Connect(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer life.Close()

	name, _ := nebula.ID("github_token").Name()
	sealed, err := nebula.SealRecord([32]byte{}, name, nebula.NewSecret([]byte("ghp_x")),
		nebula.Metadata{CreatedAt: example(), LastModified: example()})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = p.Store(ctx, name, sealed, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	fmt.Println("stored:", err)

	_, err = p.Store(ctx, name, sealed, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	fmt.Println(nebula.KindOf(err))

	found, _ := p.Exists(ctx, name)
	fmt.Println("found:", found)
	// Output:
	// stored: <nil>
	// already exists
	// found: true
}
