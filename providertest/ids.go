package providertest

import (
	"errors"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// idsHostile: a text that could address something outside the store is not a
// valid id, so no provider ever gets it. That does not depend on the provider.
func idsHostile(r *rig) {
	hostile := []string{
		"", ".", "..", "../x", "..\\x", "a/b", "a\\b", "/etc/passwd", "C:", "C:x", "~", "~root",
		".keyring", ".hidden", "a.b", "x.enc.json", "-x", "--help", "-", "a b", " a", "a ", "a\tb",
		"a\x00", "\x00", "a\nb", "a\r", "a\x1b[2J", "a\x7f", "%2e%2e%2fx", "a%00", "a:b", "a;b", "a|b",
		"$(id)", "`id`", "${HOME}", "a&b", "a*", "a?", "a=b", "a'b", `a"b`, "<a>", "a@b", "a+b", "a,b",
		"é", "ａ", "Zoë", "\u202ea", "a\u200bb", "\xff", "ﬁ", "К",
		"con", "CON", "Con", "prn", "AUX", "nul", "NUL", "com1", "COM9", "lpt1", "LPT9",
		strings.Repeat("a", nebula.MaxIDLength+1), strings.Repeat("../", 40), strings.Repeat("a", 1<<16),
	}
	for _, text := range hostile {
		if id, err := nebula.ParseID(text); !errors.Is(err, nebula.ErrInvalidID) || id != "" {
			r.Errorf("ParseID(%.40q) = %q, %v, want ErrInvalidID", text, id, err)
		}
		if name, err := nebula.ID(text).Name(); !errors.Is(err, nebula.ErrInvalidID) || name != (nebula.Name{}) {
			r.Errorf("ID(%.40q).Name() = %q, %v, want ErrInvalidID", text, name, err)
		}
	}
}

// idsZero: the zero Name, which belongs to no id, is refused with ErrUsage.
func idsZero(r *rig) {
	kept := r.record("kept")
	r.store(kept)
	for _, o := range r.operations(r.p, record{nebula.Name{}, kept.Envelope}) {
		if o.op == provider.OpList || o.op == provider.OpRetrieveBatch || o.op == provider.OpIdentity {
			continue // these calls take no name, or several
		}
		r.fails(o.call(r.ctx), nebula.ErrUsage, o.op, nebula.Name{})
	}
	r.wantList(nebula.Filter{}, "kept")
	r.holds(kept)
}

// idsUnusual: ids with every allowed character and length are kept apart, and
// listed unchanged.
func idsUnusual(r *rig) {
	ids := []string{
		"a", "0", "_", "9", "a-", "_-", "__", "a--b", "0x0", "1e9", "00", "keyring", "_keyring",
		"abcdefghijklmnopqrstuvwxyz0123456789_-", "com", "com0", "com10", "lpt", "console", "nul_",
		"true", "null", "index", "list", "metadata", "data", "token-", "a" + strings.Repeat("-", 126) + "z",
		strings.Repeat("x", nebula.MaxIDLength), strings.Repeat("_", nebula.MaxIDLength),
	}
	if !r.h.FoldsCase {
		ids = append([]string{"ABCDEFGHIJKLMNOPQRSTUVWXYZ_-0123456789abcdefghijklmnopqrstuvwxyz"}, ids...)
	}
	r.distinct(ids[:r.many(len(ids))])
}

// idsOneCharacter: ids of one character work, for each character that an id can begin
// with.
func idsOneCharacter(r *rig) {
	letters := "abcdefghijklmnopqrstuvwxyz0123456789_"
	if !r.h.FoldsCase {
		letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + letters
	}
	r.distinct(strings.Split(letters, "")[:r.many(len(letters))])
}

// idsAlike: ids that a careless encoding would confuse are different credentials.
func idsAlike(r *rig) {
	long := strings.Repeat("long_name-", 13)[:nebula.MaxIDLength-1]
	ids := []string{
		"github_token", "github-token", "githubtoken", "github__token", "github--token", "github_-token",
		"github_token_", "github_token-", "_github_token", "x_2d", "x-", "x_", "x--", "x_5f", "x-5f",
		long, long + "a", long + "b", long[1:],
	}
	r.distinct(ids)
}

// idsCase: ids that differ only by case are different credentials.
func idsCase(r *rig) {
	if r.h.FoldsCase {
		r.Skip("the backend folds case: see idsFolded")
	}
	long := strings.Repeat("Case", 31)
	r.distinct([]string{
		"github_token", "GitHub_Token", "GITHUB_TOKEN", "github-token", "GitHub-Token",
		"a", "A", "k", "K", "ss", "SS", long, strings.ToLower(long), strings.ToUpper(long),
	})
}

// idsFolded: if a backend ignores case, the second of two such ids is refused
// with a conflict, and the first does not change.
func idsFolded(r *rig) {
	if !r.h.FoldsCase {
		r.Skip("the backend does not fold case")
	}
	first, twin := r.record("github_token"), r.record("GitHub_Token")
	version := r.store(first)
	_, err := r.tryStore(twin, nebula.Precondition{})
	r.fails(err, nebula.ErrConflict, provider.OpStore, twin.name)
	r.absent(twin.name)
	// Deleting an id that is not stored succeeds, and deletes nothing else.
	r.remove(twin.name)
	if got := r.holds(first); got != version {
		r.Errorf("the twin changed the version from %q to %q", version, got)
	}
	r.wantList(nebula.Filter{}, "github_token")
	r.wantList(nebula.Filter{Prefix: "GitHub"})
	r.remove(first.name)
	r.store(twin)
	r.holds(twin)
}

// distinct stores a record under each id and checks that they are different
// credentials: each holds its own record, is listed once, and can be deleted
// without the others.
func (r *rig) distinct(ids []string) {
	r.Helper()
	records := make([]record, len(ids))
	for i, id := range ids {
		records[i] = r.record(id)
		r.store(records[i])
	}
	for _, e := range records {
		r.holds(e)
	}
	r.wantList(nebula.Filter{}, ids...)
	for i, e := range records {
		if i%3 == 0 {
			r.remove(e.name)
		}
	}
	var left []string
	for i, e := range records {
		if i%3 == 0 {
			r.absent(e.name)
			continue
		}
		r.holds(e)
		left = append(left, ids[i])
	}
	r.wantList(nebula.Filter{}, left...)
}
