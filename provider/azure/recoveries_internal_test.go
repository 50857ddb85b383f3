package azure

import (
	"context"
	"errors"
	"testing"

	"github.com/nebula-credential/nebula"
)

// Whoever waits for the deletion of what a write recovered waits no longer than the
// caller does, and then has not succeeded.
func TestWaitsForADeletionEnd(t *testing.T) {
	name, err := nebula.ID("a").Name()
	if err != nil {
		t.Fatal(err)
	}
	for what, call := range map[string]func(context.Context, *driver) error{
		"store": func(ctx context.Context, d *driver) error {
			_, err := (&writing{driver: d, name: name}).write(ctx)
			return err
		},
		"claim": func(ctx context.Context, d *driver) error { _, err := d.recoveries.claim(ctx, name); return err },
		"await": func(ctx context.Context, d *driver) error { return d.recoveries.await(ctx, name) },
		"delete": func(ctx context.Context, d *driver) error {
			_, err := d.Delete(ctx, name, nebula.Precondition{})
			return err
		},
		"restore": func(ctx context.Context, d *driver) error { return d.Restore(ctx, name) },
		"purge":   func(ctx context.Context, d *driver) error { _, err := d.Purge(ctx, name); return err },
	} {
		d := testDriver(t)
		d.recoveries.put(name, &recovery{version: "v", stop: func() {}, ended: make(chan struct{})})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := call(ctx, d); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
