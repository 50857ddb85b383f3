package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/fsnotify/fsnotify"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Notify implements [nebula.Notifier], by the kernel's events for the directory.
// The kernel does not report changes that another machine makes on a network file
// system. With kqueue, every file of the directory would have to be opened.
func (d *driver) Notify(ctx context.Context, names []nebula.Name, changed func(...nebula.Name)) error {
	if runtime.GOOS != "linux" && runtime.GOOS != "windows" {
		return cannotTell("the system reports changes only for single files")
	}
	base, err := d.bases.forReading(true)
	if err != nil {
		return err
	}
	if base.remote {
		return cannotTell("it is on a network file system")
	}
	watcher, err := fsnotify.NewBufferedWatcher(1024)
	if err != nil {
		return cannotTell(atomicfile.Reason(err)) // too many watchers, for example
	}
	defer watcher.Close()
	path := d.address()
	if err := watcher.Add(path); err != nil {
		return cannotTell(atomicfile.Reason(err))
	}
	wanted := make(map[string]nebula.Name, len(names))
	for _, name := range names {
		wanted[d.naming.file(name)] = name
	}
	changed(names...)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, ok := <-watcher.Events:
			if !ok || event.Name == path && event.Has(fsnotify.Remove|fsnotify.Rename) {
				return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "the directory is gone"}
			}
			if name, ok := wanted[filepath.Base(event.Name)]; ok {
				changed(name)
			}
		case err, ok := <-watcher.Errors:
			if !ok {
				return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "the directory is gone"}
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return cannotTell(atomicfile.Reason(err))
			}
			changed(names...) // some may have been missed
		}
	}
}

func cannotTell(why string) error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Message: fmt.Sprintf("the directory does not report changes: %s", why)}
}
