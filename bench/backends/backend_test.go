// Package backends compares the providers with the SDKs of their backends, and how nebula
// reads a kubeconfig with how client-go reads it. Benchmarks measure what a provider with
// all its layers adds to the same call of the SDK with the same bytes. The goal is at most
// 5 % and 50 µs.
package backends

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

var ctx = context.Background()

// connect connects a provider, and closes it at the end.
func connect(b *testing.B, p nebula.Provider) {
	b.Helper()
	life, _ := nebula.As[nebula.Connector](p)
	check(b, life.Connect(b.Context()))
	b.Cleanup(func() { _ = life.Close() })
}

func record(tb testing.TB, id nebula.ID, value string) (nebula.Name, *nebula.Envelope) {
	tb.Helper()
	name, err := id.Name()
	check(tb, err)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte(value)), nebula.Metadata{CreatedAt: at, LastModified: at})
	check(tb, err)
	return name, e
}

// storeTimed stores the 1 KiB credential "timed", and as many small others as
// asked for.
func storeTimed(b *testing.B, p nebula.Provider, others int) (nebula.Name, *nebula.Envelope) {
	b.Helper()
	for i := range others {
		other, e := record(b, nebula.ID(fmt.Sprint("other-", i)), "v")
		_, err := p.Store(ctx, other, e, nebula.StoreOptions{})
		check(b, err)
	}
	name, e := record(b, "timed", strings.Repeat("v", 1024))
	_, err := p.Store(ctx, name, e, nebula.StoreOptions{})
	check(b, err)
	return name, e
}

// listAll reads all pages.
func listAll(ctx context.Context, p nebula.Provider) error {
	pager := p.List(ctx, nebula.Filter{})
	defer pager.Close()
	for {
		if _, err := pager.NextPage(ctx); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func check(tb testing.TB, err error) {
	if err != nil {
		tb.Helper()
		tb.Fatal(err)
	}
}
