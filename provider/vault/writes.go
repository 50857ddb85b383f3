package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
)

// sealed is a record to be written. No two are alike, so if it is there already,
// an earlier attempt wrote it.
type sealed struct {
	name   nebula.Name
	record string
}

func (d *driver) write(ctx context.Context, r sealed, condition nebula.Precondition) (written, error) {
	if condition.IsAbsent() {
		return d.writeAbsent(ctx, r)
	}
	if version, ok := condition.Version(); ok {
		return d.writeOver(ctx, r, version, condition)
	}
	return d.writeAnyway(ctx, r)
}

// put writes a version. A cas of -1 sets no condition, and 0 requires that
// there is none.
func (d *driver) put(ctx context.Context, method string, r sealed, cas int64) (written, error) {
	body := struct {
		Data    map[string]string `json:"data"`
		Options map[string]int64  `json:"options,omitempty"`
	}{Data: map[string]string{recordKey: r.record}}
	if cas >= 0 {
		body.Options = map[string]int64{"cas": cas}
	}
	began := d.options.Clock.Now()
	a, err := d.change(ctx, r.name, vaultapi.Request{Method: method, Path: d.paths.secret("data", r.name), Body: body})
	if err != nil {
		var refused *refusal
		if cas >= 0 && !(errors.As(err, &refused) && refused.Status < http.StatusInternalServerError) {
			d.noteAttempt(r, cas+1, began)
		}
		return written{}, err
	}
	if a.Status == http.StatusNoContent { // KV version 1 says nothing
		return written{}, d.errMount()
	}
	w, err := vaultapi.Decode[written](d.api, a)
	if err == nil && w.Version == 0 {
		err = d.errMount()
	}
	return w, err
}

// maxRounds limits how often others may come between a look and a write.
const maxRounds = 100

// writeAnyway writes over any state.
func (d *driver) writeAnyway(ctx context.Context, r sealed) (written, error) {
	if provider.IsRepeat(ctx) {
		// The earlier attempt may have written it. Do not write twice, if that can
		// be found out.
		if w, found, err := d.find(ctx, r); found || err != nil && !isMissing(err) {
			return w, err
		}
	}
	w, err := d.put(ctx, http.MethodPost, r, -1)
	// If the engine demands a condition, give it the one that holds.
	for round := 0; round < maxRounds && (isConditionRequired(err) || isMismatch(err)); round++ {
		m, failed := d.readMetadata(ctx, r.name)
		if failed != nil && !isMissing(failed) {
			return written{}, failed
		}
		w, err = d.put(ctx, http.MethodPost, r, m.CurrentVersion)
	}
	return w, err
}

// writeAbsent writes if there is none, or a deleted one: then on condition that
// nothing was written since.
func (d *driver) writeAbsent(ctx context.Context, r sealed) (written, error) {
	w, err := d.put(ctx, http.MethodPost, r, 0)
	for round := 0; round < maxRounds && isMismatch(err); round++ {
		m, failed := d.readMetadata(ctx, r.name)
		if failed != nil && !isMissing(failed) {
			return written{}, failed
		}
		if err := d.keyringDeleted(r.name, m); err != nil {
			return written{}, err
		}
		if provider.IsRepeat(ctx) {
			if w, found, failed := d.findAttempt(ctx, r); found || failed != nil {
				return w, failed
			}
		}
		if current := m.current(); current != "" {
			return written{}, nebula.IfAbsent().Check(current)
		}
		w, err = d.put(ctx, http.MethodPost, r, m.CurrentVersion)
	}
	return w, err
}

// writeOver writes over that version. Vault compares its number. A read before
// it checks that the number is of the same secret, unless one did a moment ago.
// Vault refuses a patch if the version was deleted, but not a plain write: if
// the token may not patch, every write is preceded by a read.
func (d *driver) writeOver(ctx context.Context, r sealed, v nebula.Version, condition nebula.Precondition) (written, error) {
	cas, ok := parseVersion(v)
	if !ok {
		return written{}, provider.NotCurrent(v, nil)
	}
	var w written
	var err error
	patches, looked := !d.unpatched.Load(), false
	if seen, _ := d.recent.Get(r.name); !patches || seen != v {
		err, looked = d.look(ctx, r.name, cas, condition), true
	}
	if err == nil && patches {
		w, err = d.put(ctx, http.MethodPatch, r, cas)
		if patches = !vaultapi.HasStatus(err, http.StatusForbidden) || vaultapi.IsInvalidToken(err); !patches {
			err = nil
			if !looked {
				err = d.look(ctx, r.name, cas, condition)
			}
		}
	}
	if err == nil && !patches {
		if w, err = d.put(ctx, http.MethodPost, r, cas); err == nil {
			d.unpatched.Store(true)
		}
	}
	if !isMissing(err) && !isMismatch(err) {
		return w, err
	}
	if provider.IsRepeat(ctx) {
		if w, found, failed := d.findAttempt(ctx, r); found || failed != nil {
			return w, failed
		}
	}
	return written{}, provider.NotCurrent(v, err)
}

// look reads whether the current version is the one of the condition. In a
// repetition it may be the next one, if the earlier attempt wrote that.
func (d *driver) look(ctx context.Context, name nebula.Name, cas int64, condition nebula.Precondition) error {
	m, err := d.readMetadata(ctx, name)
	if isMissing(err) {
		return nil // the write finds out, or that this is KV version 1
	}
	if err != nil || provider.IsRepeat(ctx) && m.CurrentVersion != cas {
		return err
	}
	return condition.Check(m.current())
}

// wrote reports whether the version of that number, or with 0 the current one,
// holds the record.
func (d *driver) wrote(ctx context.Context, r sealed, number int64) (w written, found bool, err error) {
	s, err := d.read(ctx, r.name, number)
	if err != nil {
		return written{}, false, err
	}
	if stored, ok := s.Data[recordKey].(string); !ok || stored != r.record {
		return written{}, false, nil
	}
	return written{Version: s.Metadata.Version, CreatedTime: s.Metadata.CreatedTime, CustomMetadata: s.Metadata.CustomMetadata}, true, nil
}

// maxLooks limits the versions that are read to find one's own.
const maxLooks = 10

// find looks for the version that an earlier attempt without a condition may
// have written, among the latest ones. If it finds none, that proves nothing.
func (d *driver) find(ctx context.Context, r sealed) (w written, found bool, err error) {
	m, err := d.readMetadata(ctx, r.name)
	if err != nil {
		return written{}, false, err
	}
	numbers := m.numbers()
	for _, n := range slices.Backward(numbers[max(0, len(numbers)-maxLooks):]) {
		w, found, err = d.wrote(ctx, r, n)
		if found || err != nil && !isMissing(err) {
			return w, found, err
		}
	}
	return written{}, false, nil
}

// attempted is a write on condition that is not known to have failed.
type attempted struct {
	name   nebula.Name
	record [sha256.Size]byte
}

const (
	maxAttempted = 1024
	// attemptedFor is longer than any call goes on trying.
	attemptedFor = time.Hour
)

// attempt is the version that a write has made, if it was done.
type attempt struct {
	number int64
	began  time.Time // by this machine's clock
}

// slack is the allowed difference of the clocks, beyond that in the date of an
// answer, which has whole seconds.
const slack = 3 * time.Second

// before reports whether a version is surely older than the attempt.
func (a attempt) before(created string, m secretMetadata, now time.Time) bool {
	at, err := time.Parse(time.RFC3339Nano, created)
	return err == nil && at.Before(a.began.Add(m.now.Sub(now)-slack))
}

func (d *driver) noteAttempt(r sealed, number int64, began time.Time) {
	key := attempted{r.name, sha256.Sum256([]byte(r.record))}
	list, _ := d.attempted.Get(key)
	d.attempted.Note(key, append(slices.Clone(list), attempt{number, began}))
}

// findAttempt looks for the version that an earlier attempt may have written.
// If a possible one is deleted, or no longer kept, nobody can know.
func (d *driver) findAttempt(ctx context.Context, r sealed) (w written, found bool, err error) {
	list, _ := d.attempted.Get(attempted{r.name, sha256.Sum256([]byte(r.record))})
	if len(list) == 0 {
		return written{}, false, nil
	}
	m, err := d.readMetadata(ctx, r.name)
	if isMissing(err) {
		return written{}, false, nil // purged since
	}
	if err != nil {
		return written{}, false, err
	}
	for _, a := range list {
		if a.number > m.CurrentVersion || a.before(m.version(a.number).CreatedTime, m, d.options.Clock.Now()) {
			continue
		}
		w, found, err = d.wrote(ctx, r, a.number)
		if isMissing(err) {
			err = errUnknown()
		}
		if found || err != nil {
			return w, found, err
		}
	}
	return written{}, false, nil
}
