package providertest

import (
	"fmt"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// historyIs says what is wrong with a history that should have n versions.
func (r *rig) historyIs(h nebula.Historian, name nebula.Name, n int) error {
	r.Helper()
	all, err := h.History(r.ctx, name)
	if err != nil {
		return err
	}
	if len(all) != n {
		return fmt.Errorf("history of %s: %d versions, want %d", name, len(all), n)
	}
	return historyHolds(name, all)
}

// historyHolds says what is wrong with a history of any length.
func historyHolds(name nebula.Name, all []nebula.VersionInfo) error {
	seen := make(map[nebula.Version]bool)
	for i, v := range all {
		switch {
		case v.Version == "" || seen[v.Version]:
			return fmt.Errorf("history of %s: version %q is empty or is listed twice", name, v.Version)
		case v.Current != (i == 0):
			return fmt.Errorf("history of %s: Current is %v at place %d", name, v.Current, i)
		case v.CreatedAt.IsZero():
			return fmt.Errorf("history of %s: version %q has no time", name, v.Version)
		case i > 0 && v.CreatedAt.After(all[i-1].CreatedAt):
			return fmt.Errorf("history of %s: version %q is newer than the one before it", name, v.Version)
		case i == 0 && v.Deleted:
			return fmt.Errorf("history of %s: the current version is marked as deleted", name)
		}
		seen[v.Version] = true
	}
	return nil
}

// historyOrder: a history has the versions that Store gave, newest first, and
// the first is the current one.
func historyOrder(r *rig) {
	h := need[nebula.Historian](r)
	r.store(r.record("other"))
	var stored []nebula.Version
	for i := range 4 {
		e := r.seal("history", fmt.Sprint("value ", i), metadata())
		stored = append(stored, r.store(e))
		r.eventually(func() error { return r.historyIs(h, e.name, i+1) })
	}
	all, err := h.History(r.ctx, r.named("history"))
	r.ok(err, "history")
	for i, v := range all {
		if want := stored[len(stored)-1-i]; v.Version != want {
			r.Errorf("place %d has version %q, want %q", i, v.Version, want)
		}
	}
}

// historyRepeated: if the same record is stored again, at once or later, the
// history lists no version twice, and the current one is the last that was
// stored.
func historyRepeated(r *rig) {
	h := need[nebula.Historian](r)
	one, two := r.record("repeated"), r.record("repeated")
	for _, e := range []record{one, one, two, one, two, two} {
		version := r.store(e)
		r.eventually(func() error {
			all, err := h.History(r.ctx, e.name)
			if err != nil {
				return err
			}
			if len(all) == 0 || all[0].Version != version {
				return fmt.Errorf("the history does not begin with version %q: %+v", version, all)
			}
			return historyHolds(e.name, all)
		})
	}
}

// historyMissing: a credential that does not exist, or was deleted, has no
// history.
func historyMissing(r *rig) {
	h := need[nebula.Historian](r)
	e := r.record("missing")
	_, err := h.History(r.ctx, e.name)
	r.fails(err, nebula.ErrNotFound, provider.OpHistory, e.name)
	r.store(e)
	r.remove(e.name)
	_, err = h.History(r.ctx, e.name)
	r.fails(err, nebula.ErrNotFound, provider.OpHistory, e.name)
}

// versionRetrieve: each version, old or current, is read as it was stored.
func versionRetrieve(r *rig) {
	a := need[nebula.VersionRetriever](r)
	stored := make(map[nebula.Version]record)
	for i := range 3 {
		e := r.seal("versions", fmt.Sprint("value ", i), metadata("i", fmt.Sprint(i)))
		stored[r.store(e)] = e
	}
	for version, e := range stored {
		got, err := a.RetrieveVersion(r.ctx, e.name, version)
		r.ok(err, "retrieve version "+string(version))
		r.same(got, e)
		if got.Version != version {
			r.Errorf("version %q was returned as %q", version, got.Version)
		}
	}
}

// versionMissing: RetrieveVersion does not find a version that does not exist,
// one of another credential, or any of a deleted credential.
func versionMissing(r *rig) {
	a := need[nebula.VersionRetriever](r)
	e, other := r.record("versions"), r.record("other")
	missing := func(name nebula.Name, v nebula.Version) {
		r.Helper()
		_, err := a.RetrieveVersion(r.ctx, name, v)
		r.fails(err, nebula.ErrNotFound, provider.OpRetrieveVersion, name)
	}
	missing(e.name, "1")
	version := r.store(e)
	missing(other.name, version)
	for _, v := range []nebula.Version{"", "no such version", "-1", "99999999", "../../x", "\x00", "latest"} {
		missing(e.name, v)
	}
	r.remove(e.name)
	missing(e.name, version)
}

// batchRetrieve: RetrieveBatch returns one result for each name, in their order,
// each with its own error.
func batchRetrieve(r *rig) {
	a := need[nebula.BatchRetriever](r)
	n := r.many(45)
	var names []nebula.Name
	want := make(map[nebula.Name]record)
	for i := range n {
		e := r.record(fmt.Sprintf("batch%03d", (i*7)%n))
		if names = append(names, e.name); i%5 != 0 {
			want[e.name] = e
			r.store(e)
		}
	}
	keyring, _ := keyrings()
	r.store(keyring)
	names = append(names, names[1], keyring.name, names[0])
	want[keyring.name] = keyring
	results, err := a.RetrieveBatch(r.ctx, names)
	r.ok(err, "retrieve a batch")
	if len(results) != len(names) {
		r.Fatalf("%d results for %d names", len(results), len(names))
	}
	for i, result := range results {
		e, stored := want[names[i]]
		if !stored {
			r.fails(result.Err, nebula.ErrNotFound, provider.OpRetrieveBatch, names[i])
			continue
		}
		r.ok(result.Err, "retrieve "+e.name.String())
		r.same(result.Record, e)
		if version := r.holds(e); result.Record.Version != version {
			r.Errorf("%s: version %q, want %q", e.name, result.Record.Version, version)
		}
	}
}

// batchSmall: a batch may have no names, or one of a deleted credential.
func batchSmall(r *rig) {
	a := need[nebula.BatchRetriever](r)
	for _, none := range [][]nebula.Name{nil, {}} {
		if results, err := a.RetrieveBatch(r.ctx, none); err != nil || len(results) != 0 {
			r.Errorf("an empty batch: %d results, %v", len(results), err)
		}
	}
	e := r.record("gone")
	r.store(e)
	r.remove(e.name)
	results, err := a.RetrieveBatch(r.ctx, []nebula.Name{e.name})
	r.ok(err, "retrieve a batch")
	if len(results) != 1 {
		r.Fatalf("%d results for one name", len(results))
	}
	r.fails(results[0].Err, nebula.ErrNotFound, provider.OpRetrieveBatch, e.name)
}

// checkChangesNothing: Check finds no problem with the backend of a test,
// describes each finding, and changes nothing.
func checkChangesNothing(r *rig) {
	a := need[nebula.Checker](r)
	r.findings(a)
	r.wantList(nebula.Filter{})
	r.absent(nebula.KeyringName())
	e := r.record("checked")
	version := r.store(e)
	r.findings(a)
	if got := r.holds(e); got != version {
		r.Errorf("the version changed from %q to %q", version, got)
	}
	r.wantList(nebula.Filter{}, "checked")
	if h, ok := nebula.As[nebula.Historian](r.p); ok {
		r.eventually(func() error { return r.historyIs(h, e.name, 1) })
	}
}

func (r *rig) findings(a nebula.Checker) {
	r.Helper()
	all := a.Check(r.ctx)
	if len(all) == 0 {
		r.Error("Check found nothing, not even that everything is right")
	}
	for _, f := range all {
		switch f.Severity {
		case nebula.SeverityOK, nebula.SeverityWarning:
		default:
			r.Errorf("finding %+v of severity %q", f, f.Severity)
		}
		if f.Check == "" || f.Message == "" {
			r.Errorf("a finding without text: %+v", f)
		}
	}
}

// checkClosed: Check of a closed provider reports that it is closed.
func checkClosed(r *rig) {
	a, c := need[nebula.Checker](r), need[nebula.Connector](r)
	r.ok(c.Close(), "close")
	for _, f := range a.Check(r.ctx) {
		if f.Severity == nebula.SeverityError {
			return
		}
	}
	r.Error("Check found no error in a closed provider")
}
