package local

import (
	"time"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

func now() time.Time { return time.Now() }

// sweepOnce removes the files that killed writers left, in the background of the
// first write. It ends early when the provider is closed, but not before it has
// read minBatches batches of names, which takes about as long as a write. A
// command must not wait for a million names, and must leave a small directory
// clean.
func (d *driver) sweepOnce(b *base) {
	if !d.config.EnableLocking {
		return
	}
	d.swept.Do(func() {
		d.background.Add(1)
		go func() {
			defer d.background.Done()
			d.sweep(b)
		}()
	})
}

func (d *driver) sweep(b *base) {
	names, err := b.Names()
	if err != nil {
		return // nobody waits for it: the next list or examination will see it
	}
	defer names.Close()
	const minBatches = 16
	for batch := 0; ; batch++ {
		if batch >= minBatches && d.isClosing() {
			return
		}
		var found []string
		err := names.Next(func(name []byte, _ fileMode) {
			if isTemp(name) {
				found = append(found, string(name))
			}
		})
		for _, name := range found {
			b.Sweep(name)
		}
		if err != nil {
			return // that was the last, or nobody waits for it
		}
	}
}

func (d *driver) isClosing() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

// isTemp looks at the first byte before it makes a string.
func isTemp(name []byte) bool { return name[0] == '.' && atomicfile.IsTemp(string(name)) }
