package bench

import (
	"crypto/cipher"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/99designs/keyring"
	"go.etcd.io/bbolt"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqlite keeps sealed values in one table of a database. Each write is durable when it
// returns.
type sqlite struct {
	db                       *sql.DB
	seal                     cipher.AEAD
	selects, upserts, exists *sql.Stmt
}

func newSQLite(b *testing.B, dir string) peer {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	check(b, err)
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1) // there is one caller
	_, err = db.Exec("CREATE TABLE credentials (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
	check(b, err)
	prepare := func(query string) *sql.Stmt {
		s, err := db.Prepare(query)
		check(b, err)
		return s
	}
	return &sqlite{db: db, seal: newSeal(b),
		selects: prepare("SELECT value FROM credentials WHERE name = ?"),
		upserts: prepare("INSERT INTO credentials VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"),
		exists:  prepare("SELECT EXISTS (SELECT 1 FROM credentials WHERE name = ?)")}
}

func (s *sqlite) get(b *testing.B, name string) []byte {
	var sealed []byte
	check(b, s.selects.QueryRow(name).Scan(&sealed))
	value, err := s.seal.Open(nil, nil, sealed, []byte(name))
	check(b, err)
	return value
}

func (s *sqlite) put(b *testing.B, name string, value []byte) {
	_, err := s.upserts.Exec(name, s.seal.Seal(nil, nil, value, []byte(name)))
	check(b, err)
}

func (s *sqlite) has(b *testing.B, name string) (there bool) {
	check(b, s.exists.QueryRow(name).Scan(&there))
	return there
}

func (s *sqlite) list(b *testing.B) (n int) {
	rows, err := s.db.Query("SELECT name FROM credentials")
	check(b, err)
	defer rows.Close()
	for ; rows.Next(); n++ {
		var name string
		check(b, rows.Scan(&name))
	}
	check(b, rows.Err())
	return n
}

func (s *sqlite) fill(b *testing.B, name func(i int) string, value []byte) {
	tx, err := s.db.Begin()
	check(b, err)
	for i := range credentials {
		_, err := tx.Stmt(s.upserts).Exec(name(i), s.seal.Seal(nil, nil, value, []byte(name(i))))
		check(b, err)
	}
	check(b, tx.Commit())
}

// bolt keeps sealed values in one bucket of a file. Each write is durable when it
// returns.
type bolt struct {
	db   *bbolt.DB
	seal cipher.AEAD
}

var bucket = []byte("credentials")

func newBolt(b *testing.B, dir string) peer {
	db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, nil)
	check(b, err)
	b.Cleanup(func() { db.Close() })
	check(b, db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucket); return err }))
	return &bolt{db, newSeal(b)}
}

func (s *bolt) get(b *testing.B, name string) (value []byte) {
	check(b, s.db.View(func(tx *bbolt.Tx) (err error) {
		value, err = s.seal.Open(nil, nil, tx.Bucket(bucket).Get([]byte(name)), []byte(name))
		return err
	}))
	return value
}

func (s *bolt) put(b *testing.B, name string, value []byte) {
	sealed := s.seal.Seal(nil, nil, value, []byte(name))
	check(b, s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(name), sealed) }))
}

func (s *bolt) has(b *testing.B, name string) (there bool) {
	check(b, s.db.View(func(tx *bbolt.Tx) error { there = tx.Bucket(bucket).Get([]byte(name)) != nil; return nil }))
	return there
}

func (s *bolt) list(b *testing.B) (n int) {
	check(b, s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, _ []byte) error {
			_ = string(k)
			n++
			return nil
		})
	}))
	return n
}

func (s *bolt) fill(b *testing.B, name func(i int) string, value []byte) {
	check(b, s.db.Update(func(tx *bbolt.Tx) error {
		for i := range credentials {
			if err := tx.Bucket(bucket).Put([]byte(name(i)), s.seal.Seal(nil, nil, value, []byte(name(i)))); err != nil {
				return err
			}
		}
		return nil
	}))
}

// files is 99designs/keyring with its backend that keeps each item in a file. A write is
// not durable when it returns.
type files struct {
	keyring.Keyring
	dir string
}

func newKeyring(b *testing.B, dir string) peer {
	ring, err := keyring.Open(keyring.Config{AllowedBackends: []keyring.BackendType{keyring.FileBackend}, FileDir: dir,
		FilePasswordFunc: keyring.FixedStringPrompt("a passphrase")})
	check(b, err)
	return &files{ring, dir}
}

func (s *files) get(b *testing.B, name string) []byte {
	item, err := s.Get(name)
	check(b, err)
	return item.Data
}

func (s *files) put(b *testing.B, name string, value []byte) {
	check(b, s.Set(keyring.Item{Key: name, Data: value}))
}

func (s *files) has(b *testing.B, name string) bool {
	_, err := s.GetMetadata(name)
	return err == nil
}

func (s *files) list(b *testing.B) int {
	keys, err := s.Keys()
	check(b, err)
	return len(keys)
}

// fill copies one file, which opens under any name.
func (s *files) fill(b *testing.B, name func(i int) string, value []byte) {
	s.put(b, name(0), value)
	file, err := os.ReadFile(filepath.Join(s.dir, name(0)))
	check(b, err)
	for i := range credentials {
		check(b, os.WriteFile(filepath.Join(s.dir, name(i)), file, 0o600))
	}
}
