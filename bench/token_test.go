package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/service/audit"
	"github.com/nebula-credential/nebula/service/token"
)

// BenchmarkTokenCheck measures the check of a token, good or wrong, in a file with one
// token and in one with many.
func BenchmarkTokenCheck(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		path := filepath.Join(b.TempDir(), "tokens")
		f := token.NewFile(path)
		good, err := f.Add(ctx, token.Grant{Name: "good", Allow: []token.Verb{token.Read}})
		if err != nil {
			b.Fatal(err)
		}
		fillTokens(b, path, n-1)
		_, err = f.Check(good.Reveal(), time.Now()) // reads the file
		check(b, err)
		wrong, err := token.NewFile(filepath.Join(b.TempDir(), "tokens")).Add(ctx, token.Grant{Name: "wrong", Allow: []token.Verb{token.Read}})
		if err != nil {
			b.Fatal(err)
		}
		for what, secret := range map[string][]byte{"good": good.Reveal(), "wrong": wrong.Reveal()} {
			b.Run(fmt.Sprintf("tokens=%d/%s", n, what), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						if _, err := f.Check(secret, time.Now()); (err == nil) != (what == "good") {
							b.Errorf("a %s token: %v", what, err)
						}
					}
				})
			})
		}
	}
}

// fillTokens appends tokens that nobody has, and waits: a file that has just changed is
// read each time.
func fillTokens(b *testing.B, path string, n int) {
	b.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		text = fmt.Appendf(text, `{"v":1,"name":"n%05d","sha256":"%064x","allow":["read"],"created":"2026-11-28T10:00:00Z"}`+"\n", i, i)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		b.Fatal(err)
	}
	settle()
}

// BenchmarkAuditLine measures a line of the audit log, with one writer and with several.
func BenchmarkAuditLine(b *testing.B) {
	for _, sync := range []bool{false, true} {
		l, err := audit.Open(filepath.Join(b.TempDir(), "audit.log"), audit.Options{Sync: sync})
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		e := audit.Entry{Request: "0123456789abcdef", Token: "ci", Verb: token.Read, Method: "GET", ID: "github_token", Outcome: "ok", Version: "12", Address: "127.0.0.1:43210"}
		write := func() {
			e := e
			e.Time = time.Now()
			if err := l.Write(e); err != nil {
				b.Error(err)
			}
		}
		b.Run(fmt.Sprintf("sync=%v/one", sync), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				write()
			}
		})
		b.Run(fmt.Sprintf("sync=%v/sixteen", sync), func(b *testing.B) {
			b.SetParallelism(8) // times 2 processors: 16 writers
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					write()
				}
			})
		})
	}
}
