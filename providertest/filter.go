package providertest

import (
	"time"

	"github.com/nebula-credential/nebula"
)

// filterTags: an entry must have every tag of the filter, with exactly that value.
func filterTags(r *rig) {
	r.store(r.record("none"))
	r.store(r.record("prod", "env", "prod"))
	r.store(r.record("prod-a", "env", "prod", "team", "a"))
	r.store(r.record("prod-b", "env", "prod", "team", "b"))
	r.store(r.record("dev-a", "env", "dev", "team", "a"))
	tags := func(pairs ...string) nebula.Filter { return nebula.Filter{Tags: metadata(pairs...).Tags} }
	r.wantList(tags(), "none", "prod", "prod-a", "prod-b", "dev-a")
	r.wantList(tags("env", "prod"), "prod", "prod-a", "prod-b")
	r.wantList(tags("team", "a"), "prod-a", "dev-a")
	r.wantList(tags("env", "prod", "team", "a"), "prod-a")
	r.wantList(tags("env", "prod", "team", "c"))
	r.wantList(tags("env", "pro"))
	r.wantList(tags("env", "prod "))
	r.wantList(tags("env", "PROD"))
	r.wantList(tags("env", ""))
	r.wantList(tags("en", "prod"))
	r.wantList(tags("missing", ""))
}

// filterTagsFollow: a filter uses the tags of the current record, not those of
// an earlier one.
func filterTagsFollow(r *rig) {
	tag := func(key, value string) nebula.Filter { return nebula.Filter{Tags: map[string]string{key: value}} }
	r.store(r.record("follow", "old", "1", "kept", "1"))
	r.wantList(tag("old", "1"), "follow")
	r.store(r.record("follow", "new", "1", "kept", "2"))
	r.wantList(tag("new", "1"), "follow")
	r.wantList(tag("kept", "2"), "follow")
	r.wantList(tag("kept", "1"))
	r.wantList(tag("old", "1"))
	r.store(r.record("follow"))
	r.wantList(tag("new", "1"))
	r.wantList(nebula.Filter{}, "follow")
}

// filterCreated: after and before are strict, to the microsecond.
func filterCreated(r *rig) {
	at := func(id string, offset time.Duration) {
		m := metadata()
		m.CreatedAt = created().Add(offset)
		m.LastModified = created().Add(time.Hour)
		r.store(r.seal(id, "value", m))
	}
	at("early", -24*time.Hour)
	at("before", -time.Microsecond)
	at("exact", 0)
	at("after", time.Microsecond)
	at("late", 24*time.Hour)
	after := func(t time.Time) nebula.Filter { return nebula.Filter{CreatedAfter: t} }
	before := func(t time.Time) nebula.Filter { return nebula.Filter{CreatedBefore: t} }
	elsewhere := created().In(time.FixedZone("", 5*3600))
	r.wantList(after(created()), "after", "late")
	r.wantList(after(elsewhere), "after", "late")
	r.wantList(before(created()), "early", "before")
	r.wantList(before(elsewhere), "early", "before")
	between := nebula.Filter{CreatedAfter: created().Add(-time.Hour), CreatedBefore: created().Add(time.Hour)}
	r.wantList(between, "before", "exact", "after")
	r.wantList(after(created().Add(48 * time.Hour)))
	r.wantList(before(created().Add(-48 * time.Hour)))
}

// filterScope: an entry must have exactly the scope of the filter.
func filterScope(r *rig) {
	in := func(id, scope string) {
		m := metadata("tag", "x")
		m.Scope = scope
		r.store(r.seal(id, "value", m))
	}
	in("none", "")
	in("one", "team/one")
	in("two", "team/two")
	in("team", "team")
	in("upper", "Team")
	r.wantList(nebula.Filter{Scope: "team"}, "team")
	r.wantList(nebula.Filter{Scope: "team/one"}, "one")
	r.wantList(nebula.Filter{Scope: "team/"})
	r.wantList(nebula.Filter{Scope: "team", Tags: map[string]string{"tag": "x"}}, "team")
	r.wantList(nebula.Filter{}, "none", "one", "two", "team", "upper")
}

// filterAll: an entry must meet all conditions of the filter.
func filterAll(r *rig) {
	put := func(id, tag, scope string, age time.Duration) {
		m := metadata("tag", tag)
		m.Scope, m.CreatedAt = scope, created().Add(-age)
		r.store(r.seal(id, "value", m))
	}
	put("app_match", "x", "s", 0)
	put("other_id", "x", "s", 0)
	put("app_tag", "y", "s", 0)
	put("app_scope", "x", "t", 0)
	put("app_old", "x", "s", 48*time.Hour)
	put("app_gone", "x", "s", 0)
	r.remove(r.named("app_gone"))
	r.wantList(nebula.Filter{
		Prefix: "app_", Tags: map[string]string{"tag": "x"}, Scope: "s",
		CreatedAfter: created().Add(-time.Hour), CreatedBefore: created().Add(time.Hour),
	}, "app_match")
}
