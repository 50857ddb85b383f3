package azureserver

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a scenario presupposes is read from its lines. If no earlier request made a
// name, it is put into the state that the first answer about it needs. The first answer
// that shows a new state says how long the change of state takes. If the request itself
// does not explain a refusal, a fault is injected. Nothing is looked up by the name of
// a scenario.

var (
	versionName = regexp.MustCompile(`^version`)
	casing      = regexp.MustCompile(`^(\w+)\W+.*\b(upper|lower)[ -]?case`)
	illegalName = regexp.MustCompile(`[^0-9A-Za-z-]`)
)

// fresh returns a value for a placeholder: a version, a legal name that fits the order
// of the scenario's lists, or an illegal name.
func (r *replay) fresh(name string) string {
	if versionName.MatchString(name) {
		return fmt.Sprintf("%04x%s", r.rank(name), newVersion()[4:])
	}
	if m := casing.FindStringSubmatch(name); m != nil {
		if m[2] == "upper" {
			return strings.ToUpper(r.value(m[1]))
		}
		return strings.ToLower(r.value(m[1]))
	}
	if base := strings.ToLower(name); name == strings.ToUpper(name) && r.bound[base] != "" {
		return strings.ToUpper(r.bound[base])
	}
	if found := sized.FindStringSubmatch(name); found != nil {
		return strings.Repeat("a", sizeOf(found))
	}
	if illegalName.MatchString(name) {
		return name
	}
	// Neighbours begin with letters of different case, because their order ignores it.
	n := r.rank(name)
	first := string(rune('a' + n%26))
	if n%2 == 1 {
		first = strings.ToUpper(first)
	}
	return fmt.Sprintf("%s%02d-Replay-%s-%s", first, n, newVersion()[:8], name) + r.suffix
}

// rank returns the place of a placeholder in the lists of the scenario. Placeholders in
// no list come last.
func (r *replay) rank(name string) int {
	n, ok := r.ranks[name]
	if !ok {
		n = len(r.ranks)
		r.ranks[name] = n
	}
	return n
}

// versionID is the vault's source of version ids: the next version gets the value of
// its placeholder.
func (r *replay) versionID() string {
	if r.next == "" {
		return newVersion()
	}
	return r.value(r.next)
}

// configure reads from the lines what holds for the whole scenario: the order of names
// in lists, and how long deleted secrets are kept.
func (r *replay) configure() {
	for _, e := range r.events {
		for _, item := range items(e) {
			name, version := idIn(item, e.index)
			for _, p := range []string{name, version} {
				if p != "" {
					r.rank(p)
				}
			}
		}
	}
	for _, e := range slices.Backward(r.events) {
		for _, shape := range append(items(e), e.Response.BodyShape) {
			if days, ok := at(shape, "attributes", "recoverableDays").(float64); ok {
				r.SetRetention(int(days))
			}
			if level, ok := at(shape, "attributes", "recoveryLevel").(string); ok {
				r.SetPurgeProtection(!strings.Contains(level, "Purgeable"))
			}
		}
		if e.says("names ending with a dash") {
			r.suffix = "-"
		}
	}
}

// operation returns the operation of the event.
func (r *replay) operation(e *event) Operation {
	path := placeholder.ReplaceAllString(e.Request.Path, "x")
	t, _ := parse(httptest.NewRequest(e.Request.Method, "https://x"+path, nil))
	return t.op
}

// op returns the operation of the event. For a key, it is the one for a secret that
// changes, needs or shows the same states.
func (r *replay) op(e *event) Operation {
	op := r.operation(e)
	onSecret := map[Operation]Operation{CreateKey: SetSecret, ImportKey: SetSecret, GetKey: GetSecret, UpdateKey: UpdateSecret,
		DeleteKey: DeleteSecret, GetDeletedKey: GetDeletedSecret, RecoverKey: RecoverSecret, PurgeKey: PurgeSecret,
		WrapKey: GetSecret, UnwrapKey: GetSecret, Encrypt: GetSecret, Decrypt: GetSecret, Sign: GetSecret}
	if same, ok := onSecret[op]; ok {
		return same
	}
	return op
}

// nameIn returns the placeholder of the name in the path, or in the answer of a
// restored one; "" if there is none.
func (r *replay) nameIn(e *event) string {
	segments := strings.Split(e.Request.Path, "/")
	if len(segments) > 2 {
		if m := placeholder.FindStringSubmatch(segments[2]); m != nil {
			return number(m[1], e.index)
		}
	}
	if r.op(e) == RestoreSecret {
		if name, _ := idIn(e.Response.BodyShape, e.index); name != "" {
			return name
		}
		return "name1"
	}
	return ""
}

// versionIn returns the placeholder of the version in the answer.
func (r *replay) versionIn(e *event) string {
	_, version := idIn(e.Response.BodyShape, e.index)
	return version
}

// versionAsked returns the placeholder of the version in the path.
func (e *event) versionAsked() string {
	segments := strings.Split(e.Request.Path, "/")
	if len(segments) < 4 {
		return ""
	}
	if m := placeholder.FindStringSubmatch(segments[3]); m != nil {
		return number(m[1], e.index)
	}
	return ""
}

// idIn returns the placeholders of the name and version in an id.
func idIn(shape any, index int) (name, version string) {
	id, _ := at(shape, "id").(string)
	for _, kid := range []any{at(shape, "key", "kid"), at(shape, "kid")} {
		if text, ok := kid.(string); ok && id == "" {
			id = text
		}
	}
	for i, m := range placeholder.FindAllStringSubmatch(id, -1) {
		switch p := number(m[1], index); {
		case i == 1:
			name = p
		case i == 2:
			version = p
		}
	}
	return name, version
}

// items returns the items of a recorded page.
func items(e *event) []any {
	list, _ := at(e.Response.BodyShape, "value").([]any)
	return list
}

func isPage(e *event) bool { _, ok := at(e.Response.BodyShape, "value").([]any); return ok }

// refused reports whether the answer says nothing about the secret or key.
func refused(e *event) bool {
	status := e.Response.Status
	ofObject := slices.Contains([]string{"SecretDisabled", "KeyDisabled", "KeyOperationForbidden"}, e.Response.InnerCode)
	return status == 401 || status == 403 && !ofObject || status == 429 || status >= 500
}

// presuppose prepares the vault for a request. undo takes back what was for this
// request only.
func (r *replay) presuppose(t *testing.T, i int, e *event) (undo func()) {
	t.Helper()
	undo = func() {}
	op, want := r.op(e), e.Response
	switch {
	case want.Status == 401:
		return undo
	case want.Status == 403 && refused(e):
		if fault, ok := refusal(r.operation(e), e); ok {
			return r.Inject(fault)
		}
		r.SetPurgeProtection(true)
		undo = func() { r.SetPurgeProtection(false) }
	case refused(e):
		return r.Inject(Fault{Status: want.Status, Code: want.ErrorCode, Inner: want.InnerCode, RetryAfter: e.header("Retry-After"),
			about: Throttled().about})
	}
	if op == RestoreSecret {
		r.presupposeBackup(t, e)
	}
	if isPage(e) && e.Request.Query["$skiptoken"] == "" {
		r.presupposeList(i, op)
	}
	if name := r.nameIn(e); name != "" && op != RestoreSecret && op != ListVersions {
		if s := r.needed(op, e); s != absent && !r.isTouched(name) {
			r.seed(i, name, s)
		}
	}
	r.setDelays(i, op, e)
	return undo
}

func (r *replay) isTouched(name string) bool { return r.touched[strings.ToUpper(r.value(name))] }

// refusal returns the fault behind a 403, and false if it is the purge protection.
func refusal(op Operation, e *event) (Fault, bool) {
	kinds := map[string]func(Operation) Fault{
		"ForbiddenByRbac": ForbiddenByRbac, "AccessDenied": AccessDenied, "ForbiddenByPolicy": ForbiddenByPolicy,
		"ForbiddenByFirewall": func(Operation) Fault { return ForbiddenByFirewall() },
	}
	fault := AccessDenied(op)
	if make := kinds[e.Response.InnerCode]; make != nil {
		fault = make(op)
	}
	fault.Inner = e.Response.InnerCode
	protected := op == PurgeSecret && e.Response.InnerCode == "" && !e.says("caller") && !e.says("permission")
	return fault, !protected
}

// needed returns the state in which a name must be so that this answer can be the first
// one about it; absent if none is needed.
func (r *replay) needed(op Operation, e *event) state {
	status := e.Response.Status
	byInner := map[string]state{"ObjectIsBeingDeleted": beingDeleted, "ObjectIsDeletedButRecoverable": deleted,
		"ObjectIsBeingRecovered": unwritable, "": beingPurged}
	byText := absent
	switch {
	case e.says("being recovered"):
		byText = recovering
	case e.says("being deleted"):
		byText = beingDeleted
	case e.says("being purged"):
		byText = beingPurged
	case e.says("deleted state"):
		byText = deleted
	}
	switch {
	case status == 409 && e.Response.InnerCode == "ObjectIsBeingRecovered" && op != SetSecret:
		return recovering
	case status == 409:
		return byInner[e.Response.InnerCode]
	case status == 404 && op == GetDeletedSecret && e.says("deleted-secret-not-found"):
		return beingDeleted
	case status == 404:
		return byText
	case op == GetDeletedSecret, op == RecoverSecret, op == PurgeSecret:
		return deleted
	case op == SetSecret, status == 405, status == 400 && e.Request.Query["outContentType"] == "" && r.operation(e) != UnwrapKey:
		return absent
	}
	return live
}

// seed puts a name into a state, with the fields that the answers show.
func (r *replay) seed(i int, name string, s state) {
	r.touched[strings.ToUpper(r.value(name))] = true
	e := r.events[i]
	c := r.seedVersions(i, name)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	switch s {
	case deleted:
		r.delays = Delays{}
		r.startDelete(c)
	case beingDeleted:
		r.delays = Delays{Delete: r.until(i, e.at, name, DeleteSecret)}
		r.startDelete(c)
	case recovering:
		r.delays = Delays{Recover: r.until(i, e.at, name, RecoverSecret)}
		r.startRecover(c)
	case unwritable:
		r.delays = Delays{RecoverWrite: r.until(i, e.at, name, SetSecret)}
		r.startRecover(c)
	case beingPurged:
		r.delays = Delays{Purge: r.until(i, e.at, name, PurgeSecret)}
		c.deletedAt = now
		r.startPurge(c)
	}
}

// seedVersions makes the versions of a secret or key, and returns its life.
func (r *replay) seedVersions(i int, name string) *life {
	shapes, versions := r.shown(i, name)
	ofKey := r.operation(r.events[i]).collection() == ofKeys
	for _, version := range versions {
		shape := shapes[version]
		if shape == nil {
			shape = shapes[""]
		}
		if ofKey {
			r.addKey(r.events[i], name, version)
		} else {
			r.add(name, version, shape)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if ofKey {
		c, _ := r.findKey(r.value(name))
		return &c.life
	}
	c, _ := r.find(r.value(name))
	return &c.life
}

// addKey makes a version of a key without the API. Its operations and state fit the
// answer.
func (r *replay) addKey(e *event, name, version string) {
	r.next = version
	seed := KeySeed{}
	if e.Response.InnerCode == "KeyOperationForbidden" {
		seed.Operations = []string{"sign"}
	}
	r.AddKey(r.value(name), seed)
	r.next = ""
	if e.Response.InnerCode == "KeyDisabled" {
		_ = r.ChangeKey(r.value(name), "", false, time.Time{})
	}
}

// shown returns the first shape that an answer gives for each version of the name, and
// for the name itself under "". It also returns the placeholders of the versions that
// exist before the scenario makes one, the latest last.
func (r *replay) shown(from int, name string) (shapes map[string]any, versions []string) {
	shapes, latest := map[string]any{}, ""
	for _, e := range r.events[from:] {
		if r.op(e) == SetSecret && r.nameIn(e) == name && e.Response.Status == 200 {
			break
		}
		if v := e.versionAsked(); v != "" && r.nameIn(e) == name && e.Response.Status != 404 && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
		for _, s := range append(items(e), e.Response.BodyShape) {
			n, version := idIn(s, e.index)
			if n != name {
				continue
			}
			for _, v := range []string{"", version} {
				if shapes[v] == nil {
					shapes[v] = s
				}
			}
			if version != "" && !slices.Contains(versions, version) {
				versions = append(versions, version)
			}
			if latest == "" && version != "" && !isPage(e) && !strings.Contains(e.Request.Path, version) {
				latest = version
			}
		}
	}
	if latest != "" {
		versions = append(slices.DeleteFunc(versions, func(v string) bool { return v == latest }), latest)
	}
	if len(versions) == 0 {
		versions = []string{""}
	}
	if shapes[""] == nil {
		shapes[""] = r.events[from].seedShape()
	}
	return shapes, versions
}

// seedShape returns what an error shows about the secret.
func (e *event) seedShape() any {
	if e.Response.InnerCode == "SecretDisabled" {
		return map[string]any{"attributes": map[string]any{"enabled": false}}
	}
	return nil
}

// add writes a version without the API, with the fields of a shape.
func (r *replay) add(name, version string, shape any) {
	s := Seed{Name: r.value(name), Value: "seeded"}
	if v, ok := at(shape, "value").(string); ok && v == "" {
		s.Value = v
	}
	if text, ok := at(shape, "contentType").(string); ok {
		s.ContentType = text
	}
	if tags, ok := at(shape, "tags").(map[string]any); ok {
		s.Tags = map[string]string{}
		for key, value := range tags {
			s.Tags[key] = fmt.Sprint(value)
		}
	}
	s.Disabled = at(shape, "attributes", "enabled") == false
	s.Managed = at(shape, "managed") == true
	if at(shape, "attributes", "nbf") != nil {
		s.NotBefore = r.clock.Now().Add(-time.Hour)
	}
	if at(shape, "attributes", "exp") != nil {
		s.Expires = r.clock.Now().Add(time.Hour)
	}
	r.next = version
	r.Add(s)
	r.next = ""
	r.mu.Lock()
	defer r.mu.Unlock()
	c, _ := r.find(s.Name)
	r.values[r.URL()+"/secrets/"+c.name+"/"+c.latest.id] = s.Value
	if at(shape, "attributes", "updated") == "unix>created" {
		c.latest.created--
	}
}

// presupposeBackup makes a backup if the scenario sends one that it did not make. It
// frees the name again unless the answer says that it is taken.
func (r *replay) presupposeBackup(t *testing.T, e *event) {
	body, _ := e.Request.Body.(map[string]any)
	sent, _ := body["value"].(string)
	if r.blob != "" || !strings.HasPrefix(sent, "BLOB") || e.Response.Status == 400 {
		return
	}
	name := r.nameIn(e)
	r.add(name, r.versionIn(e), e.Response.BodyShape)
	got := r.call(t, http.MethodPost, "/secrets/"+r.value(name)+"/backup", nil)
	r.blob, _ = got.body["value"].(string)
	if e.Response.Status == 200 {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.secrets, strings.ToUpper(r.value(name)))
	}
}

// presupposeList seeds the items of a list's pages that no earlier request made, and
// sets the sizes of pages that are shorter than usual.
func (r *replay) presupposeList(i int, op Operation) {
	s := live
	if op == ListDeleted {
		s = deleted
	}
	var counts []int
	short, open := false, false
	size := maxPage
	for j, e := range r.events[i:] {
		if r.op(e) != op || !isPage(e) || (j > 0 && e.Request.Query["$skiptoken"] == "") {
			break
		}
		if n := e.Request.Query["maxresults"]; n != "" {
			fmt.Sscan(n, &size)
		}
		for _, item := range items(e) {
			if name, _ := idIn(item, e.index); name != "" && !r.isTouched(name) {
				r.seed(i, name, s)
			}
		}
		open = at(e.Response.BodyShape, "nextLink") != nil
		short = short || open && len(items(e)) < size
		counts = append(counts, len(items(e)))
	}
	r.SetPages()
	if short {
		if open {
			counts = append(counts, maxPage)
		}
		r.SetPages(counts...)
	} else if open {
		r.seedOneMore(i, op, s)
	}
}

// seedOneMore adds an item after the last page that was recorded.
func (r *replay) seedOneMore(i int, op Operation, s state) {
	if op == ListVersions {
		r.add(r.nameIn(r.events[i]), "version beyond", nil)
		return
	}
	r.seed(i, "beyond", s)
}

// setDelays sets how long the change takes that the request begins.
func (r *replay) setDelays(i int, op Operation, e *event) {
	if e.Response.Status >= 300 {
		return
	}
	name := r.nameIn(e)
	switch op {
	case DeleteSecret, PurgeSecret:
		d := r.until(i+1, e.at, name, op)
		r.SetDelays(Delays{Delete: d, Purge: d})
	case RecoverSecret:
		read := r.until(i+1, e.at, name, op)
		write := r.until(i+1, e.at, name, SetSecret)
		r.SetDelays(Delays{Recover: read, RecoverWrite: max(0, write-read)})
	}
}

// until returns the time from now to the first answer about the name that shows the new
// state. If no answer does, it is longer than the scenario if an answer shows the old
// state, and the usual time otherwise.
func (r *replay) until(from int, now time.Duration, name string, change Operation) time.Duration {
	const never = 24 * time.Hour
	usual := map[Operation]time.Duration{DeleteSecret: DefaultDelays().Delete, RecoverSecret: DefaultDelays().Recover,
		SetSecret: 0, PurgeSecret: DefaultDelays().Purge}[change]
	for _, e := range r.events[from:] {
		if r.nameIn(e) != name && !lists(e, name) {
			continue
		}
		switch shows(change, r.op(e), e) {
		case reached:
			return e.at - now
		case pending:
			usual = never
		}
		if e.Response.Status < 300 && (r.op(e) == DeleteSecret || r.op(e) == RecoverSecret || r.op(e) == PurgeSecret) {
			break
		}
	}
	return usual
}

func lists(e *event, name string) bool {
	return slices.ContainsFunc(items(e), func(item any) bool { n, _ := idIn(item, e.index); return n == name })
}

// evidence is what an answer shows about a change of state.
type evidence int

const (
	nothing evidence = iota
	pending
	reached
)

// shows reads an answer as evidence for a change. DeleteSecret: the secret is deleted.
// RecoverSecret: it can be read. SetSecret: it can be written again. PurgeSecret: the
// name is free.
func shows(change, op Operation, e *event) evidence {
	ok, status, inner := e.Response.Status < 300, e.Response.Status, e.Response.InnerCode
	if _, injected := refusal(op, e); refused(e) && (status != 403 || injected) {
		return nothing
	}
	after := map[bool]evidence{true: reached, false: pending}
	switch {
	case change == DeleteSecret && inner == "ObjectIsDeletedButRecoverable":
		return reached
	case change == DeleteSecret && inner == "ObjectIsBeingDeleted":
		return pending
	case change == DeleteSecret && (op == GetDeletedSecret || op == RecoverSecret || op == ListDeleted):
		return after[ok]
	case change == DeleteSecret && op == PurgeSecret:
		return after[ok || status == 403]
	case change == RecoverSecret && (op == GetSecret || op == ListSecrets || op == DeleteSecret || op == UpdateSecret):
		return after[ok || inner == "SecretDisabled"]
	case change == RecoverSecret && op == ListVersions:
		return after[len(items(e)) > 0]
	case change == SetSecret && op == SetSecret:
		return after[ok]
	case change == PurgeSecret && (op == SetSecret || op == RestoreSecret):
		return after[ok]
	case change == PurgeSecret && op == PurgeSecret:
		return after[status == 404]
	}
	return nothing
}
