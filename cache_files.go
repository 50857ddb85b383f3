package nebula

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/canon"
	"github.com/nebula-credential/nebula/internal/seal"
)

// cacheFiles keep the records of one store in a directory, one file each. A file
// has a line, and then the record as it was read:
//
//	{"read_at":"…","version":"…","mac":"…"}
//
// The mac authenticates the line, the record, the store's address and the name.
type cacheFiles struct {
	path string
	max  int // files, beside the keyring's
	age  time.Duration

	mu     sync.Mutex // held while a file is written or removed
	failed sync.Once
}

const maxCacheFile = 64 << 20 // bytes

type cacheLine struct {
	ReadAt  string  `json:"read_at"`
	Version Version `json:"version"`
	MAC     string  `json:"mac"`
}

// message returns the bytes of a copy that its MAC authenticates.
func (k *kept) message(address string) []byte {
	m := seal.AppendBytes([]byte(nil), address)
	m = seal.AppendBytes(m, k.name.s)
	m = seal.AppendBytes(m, canon.AppendTime(nil, k.at))
	m = seal.AppendBytes(m, string(k.record.Version))
	sum := sha256.Sum256(k.record.Envelope.raw)
	return append(m, sum[:]...)
}

// newCacheFiles returns nil if nothing is to be kept on disk.
func newCacheFiles(o CacheOptions, address string) *cacheFiles {
	if o.Directory == "" || address == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(address))
	return &cacheFiles{path: filepath.Join(o.Directory, hex.EncodeToString(sum[:16])), max: o.Entries, age: o.LastKnown}
}

// file returns the name of a credential's file, which does not tell the id.
func (f *cacheFiles) file(name Name) string {
	if name.IsKeyring() {
		return "keyring"
	}
	sum := sha256.Sum256([]byte(name.s))
	return hex.EncodeToString(sum[:])
}

// read returns a copy that is not authentic yet, and its MAC. The error wraps
// fs.ErrNotExist if there is none.
func (f *cacheFiles) read(name Name) (k kept, mac [32]byte, err error) {
	if f == nil {
		return k, mac, fs.ErrNotExist
	}
	dir, err := atomicfile.Open(f.path)
	if err != nil {
		return k, mac, f.fail(name, err)
	}
	defer dir.Close()
	data, stat, err := dir.Read(f.file(name), maxCacheFile)
	if err != nil {
		return k, mac, f.fail(name, err)
	}
	parent, err := dir.Stat()
	if err != nil {
		return k, mac, f.fail(name, err)
	}
	for _, wrong := range []string{stat.Writable(), stat.ForeignOwner(), parent.Writable(), parent.ForeignOwner()} {
		if wrong != "" {
			return k, mac, &Error{Kind: ErrInvalidConfig, Message: f.where(name) + " or its directory has " + wrong,
				Hint: "find out who wrote it, and remove it"}
		}
	}
	k, mac, err = parseCopy(name, data)
	if err != nil {
		return k, mac, &Error{Kind: ErrCorrupted, Err: err, Message: "its copy " + f.where(name) + " was damaged or edited", Hint: "remove it"}
	}
	return k, mac, nil
}

func parseCopy(name Name, data []byte) (k kept, mac [32]byte, err error) {
	text, raw, _ := bytes.Cut(data, []byte("\n"))
	var line cacheLine
	if err := json.Unmarshal(text, &line); err != nil {
		return k, mac, err
	}
	at, err := time.Parse(time.RFC3339Nano, line.ReadAt)
	if err == nil {
		err = decodeHex(mac[:], line.MAC)
	}
	if err != nil {
		return k, mac, err
	}
	e, err := ParseEnvelope(name, raw)
	return kept{name: name, record: Record{Envelope: e, Version: line.Version}, at: at, written: at}, mac, err
}

func formatCopy(k kept, mac [32]byte) []byte {
	line, _ := json.Marshal(cacheLine{string(canon.AppendTime(nil, k.at)), k.record.Version, hex.EncodeToString(mac[:])}) // plain fields
	return append(append(line, '\n'), k.record.Envelope.raw...)
}

// write keeps a copy, if it is still valid when the file's turn has come.
func (f *cacheFiles) write(k kept, mac [32]byte, holds func() bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !holds() {
		return nil
	}
	if err := atomicfile.MakeDirs(f.path); err != nil {
		return f.fail(k.name, err)
	}
	dir, err := atomicfile.Open(f.path)
	if err != nil {
		return f.fail(k.name, err)
	}
	defer dir.Close()
	file := f.file(k.name)
	if _, err := dir.Lstat(file); errors.Is(err, fs.ErrNotExist) && !k.name.IsKeyring() {
		if err := f.makeRoom(dir, len(k.record.Envelope.raw)); err != nil {
			return f.fail(k.name, err)
		}
	}
	staged, err := dir.Stage(formatCopy(k, mac))
	if err == nil {
		err = staged.Commit(file)
	}
	return f.fail(k.name, err)
}

// makeRoom removes copies that are too old, and then the oldest ones, so that one
// more fits.
func (f *cacheFiles) makeRoom(dir *atomicfile.Dir, size int) error {
	type file struct {
		name string
		stat atomicfile.Stat
	}
	var files []file
	names, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	total := int64(size)
	for _, n := range names {
		if atomicfile.IsTemp(n.Name()) {
			dir.Sweep(n.Name())
			continue
		}
		stat, err := dir.Lstat(n.Name())
		if err != nil || len(n.Name()) != 2*sha256.Size {
			continue // gone, or none of ours
		}
		files = append(files, file{n.Name(), stat})
		total += stat.Size
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(cmp.Compare(a.stat.Mtime, b.stat.Mtime), cmp.Compare(a.name, b.name))
	})
	for _, old := range files {
		if len(files) < f.max && total <= maxCacheBytes && time.Since(time.Unix(0, old.stat.Mtime)) <= f.age {
			return nil
		}
		if err := dir.Remove(old.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		files, total = files[1:], total-old.stat.Size
	}
	return nil
}

// remove removes a copy for good, if there is one. It calls forget first: a
// copy that is written after that is valid.
func (f *cacheFiles) remove(name Name, forget func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	forget()
	dir, err := atomicfile.Open(f.path)
	if err == nil {
		defer dir.Close()
		if err = dir.Remove(f.file(name)); err == nil {
			err = dir.Flush()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.fail(name, err)
}

func (f *cacheFiles) where(name Name) string { return filepath.Join(f.path, f.file(name)) }

func (f *cacheFiles) fail(name Name, err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &Error{Kind: ErrUnavailable, Err: err, Message: fmt.Sprintf("%s: %s", f.where(name), atomicfile.Reason(err))}
}

// keepRead keeps a record that was read and opened.
func (s *Store) keepRead(r reading, record Record) {
	c := s.cache
	k := kept{name: r.name, record: record, at: r.at}
	if before, ok := c.find(r.name); ok && bytes.Equal(before.record.Envelope.raw, record.Envelope.raw) {
		k.written = before.written
	}
	// A copy whose age is nearly right is not written again.
	write := c.files != nil && k.at.Sub(k.written) > c.options.LastKnown/8
	if write {
		k.written = k.at
	}
	if !c.put(r, k) || c.files == nil {
		return
	}
	err := s.keepKeyring()
	if ring := s.ring.Load(); err == nil && write && ring != nil && record.Envelope.KeyID() == KeyID(ring.current.ID()) {
		err = s.writeCopy(k, ring.keyring, func() bool { return c.holds(r) })
	}
	if err != nil {
		c.files.failed.Do(func() {
			s.options.Logger.Warn("what was read cannot be kept on disk, for a start without the backend", "reason", err.Error())
		})
	}
}

// keepKeyring writes the keyring that is held, unless the one on disk is as new.
func (s *Store) keepKeyring() error {
	held, c := s.ring.Load(), s.cache
	if held == nil || c.written.Load() == held.keyring {
		return nil
	}
	k, _, err := c.files.read(KeyringName())
	if err == nil && k.record.Envelope.keyID == held.current.ID() {
		there, err := readKeyring(k.record, held.current, Slot{})
		if err == nil && there.generation >= held.generation {
			c.written.Store(held.keyring)
			return nil
		}
	}
	e, err := ParseEnvelope(KeyringName(), held.raw)
	if err != nil {
		return err
	}
	k = kept{name: KeyringName(), at: held.at, record: Record{Envelope: e, Version: held.version}}
	if err := s.writeCopy(k, held.keyring, func() bool { return true }); err != nil {
		return err
	}
	c.written.Store(held.keyring)
	return nil
}

// writeCopy writes a kept record. It writes the time of reading in the form that
// records have.
func (s *Store) writeCopy(k kept, ring *keyring, holds func() bool) error {
	k.at = k.at.UTC().Truncate(time.Microsecond)
	return s.cache.files.write(k, s.copyMAC(k, ring.current), holds)
}

// holds reports whether this process has written nothing since the read began.
func (c *cache) holds(r reading) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return r.turn == *c.turn(r.name)
}

// dropKept forgets a credential, in memory and on disk.
func (s *Store) dropKept(name Name) {
	if s.cache.files == nil {
		s.cache.drop(name)
		return
	}
	if err := s.cache.files.remove(name, func() { s.cache.drop(name) }); err != nil {
		s.options.Logger.Warn("a copy of a credential that was changed could not be removed", "reason", err.Error())
	}
}
