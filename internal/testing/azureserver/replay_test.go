package azureserver

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The server answers every recorded request as the service did: with the status, the
// codes, the named headers, and the body, whose every field is compared. What a
// scenario presupposes follows from its own lines: see presuppose_test.go.
// NEBULA_TEST_AZURE_EXCHANGES names another file.
func TestReplay(t *testing.T) {
	path := os.Getenv("NEBULA_TEST_AZURE_EXCHANGES")
	if path == "" {
		path = "testdata/exchanges.jsonl"
	}
	names, scenarios := readRecordings(t, path)
	for _, name := range names {
		steps := scenarios[name]
		t.Run(name, func(t *testing.T) {
			r := newReplay(t, steps)
			for i, e := range r.events {
				r.run(t, i, e)
			}
		})
	}
}

// replay is a running scenario.
type replay struct {
	*tester
	matcher
	events  []*event
	begin   time.Time
	elapsed time.Duration

	touched  map[string]bool   // names, in upper case, that had a request
	blob     string            // of the last backup
	next     string            // the placeholder of the version that is made next
	ranks    map[string]int    // of placeholders in the order of lists
	values   map[string]string // that were sent, by version
	created  map[string]any    // by version
	deleted  map[string]any    // the last deletedDate, by name
	secret   string            // the value that the present request sends
	suffix   string            // of all names
	requests int
}

func newReplay(t *testing.T, steps []recording) *replay {
	r := &replay{tester: newTester(t), events: schedule(steps), touched: map[string]bool{}, ranks: map[string]int{},
		values: map[string]string{}, created: map[string]any{}, deleted: map[string]any{}}
	r.matcher = matcher{now: func() int64 { return r.clock.Now().Unix() }, fresh: r.fresh,
		bound: map[string]string{"vault": r.host, "tenant": TenantID}}
	r.begin = r.clock.Now()
	r.SetVersionIDs(r.versionID)
	r.configure()
	return r
}

// run sends the request of an event and checks the answer.
func (r *replay) run(t *testing.T, i int, e *event) {
	t.Helper()
	r.clock.Advance(e.at - r.elapsed)
	r.elapsed = e.at
	r.requests++
	r.secret = fmt.Sprintf("value %d", r.requests)
	undo := r.presuppose(t, i, e)
	defer undo()
	r.next = r.versionIn(e)
	token := r.token
	r.token = r.tokenFor(e)
	path := r.path(e)
	target := path + "?" + r.query(e)
	var body any
	if e.Request.Body != nil {
		body = r.request("", e.Request.Body, r.secret, r.blob, e.index)
	}
	if value, ok := at(body, "value").(string); ok {
		r.secret = value
	}
	got := r.call(t, e.Request.Method, target, body)
	r.token = token
	for _, err := range slices.Concat(r.compare(e, got), r.observe(t, e, got), r.invariants(e, got)) {
		t.Errorf("%s: %v\n%s", e.label(), err, got.text)
	}
	r.remember(e, got)
}

// path returns the path of the request, with spaces in names escaped.
func (r *replay) path(e *event) string {
	path := r.fill(e.Request.Path, e.index)
	return strings.NewReplacer(" ", "%20").Replace(path)
}

// tokenFor returns the token of the request. If the request was refused for its token,
// it had none, or one that the observations describe.
func (r *replay) tokenFor(e *event) string {
	if e.Response.Status != 401 {
		return r.token
	}
	switch {
	case e.says("AKV10022"):
		return r.server.IssueToken(resource+"/", TenantID, time.Hour)
	case e.says("AKV10032"):
		return r.server.IssueToken(resource, guid(), time.Hour)
	case e.says("expired"):
		return r.server.IssueToken(resource, TenantID, -time.Second)
	}
	return ""
}

// compare checks what the recording states.
func (r *replay) compare(e *event, got reply) []error {
	var all []error
	want := e.Response
	add := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if got.status != want.Status {
		add("status %d, recorded %d", got.status, want.Status)
	}
	// A failure without a body and without a code was recorded without them.
	kept := want.BodyShape != nil || want.ErrorCode != "" || want.Status < 400
	if kept && got.code() != want.ErrorCode {
		add("code %q, recorded %q", got.code(), want.ErrorCode)
	}
	if kept && got.inner() != want.InnerCode {
		add("inner code %q, recorded %q", got.inner(), want.InnerCode)
	}
	for name, value := range want.Headers {
		if err := r.header(name, value, got.header.Get(name), e.index); err != nil {
			all = append(all, err)
		}
	}
	if want.BodyShape == nil {
		if kept && len(got.text) > 0 {
			add("a body, recorded none")
		}
		return all
	}
	return append(all, r.shape("body", want.BodyShape, any(got.body), nil, e.index)...)
}

// remember keeps what later requests need.
func (r *replay) remember(e *event, got reply) {
	if name := r.nameIn(e); name != "" && !refused(e) {
		r.touched[strings.ToUpper(r.value(name))] = true
	}
	if strings.HasSuffix(e.Request.Path, "/backup") && got.status == 200 {
		r.blob, _ = got.body["value"].(string)
	}
}

// invariants checks what holds for all answers, whether or not a recording says it: a
// value is the one that was written last, a version keeps the time at which it was
// made, and versions are listed by their ids.
func (r *replay) invariants(e *event, got reply) []error {
	var all []error
	if got.header.Get("Date") == "" {
		all = append(all, fmt.Errorf("no header Date"))
	}
	for _, name := range []string{"Retry-After", "Location"} {
		if got.header.Get(name) != "" && e.header(name) == "" {
			all = append(all, fmt.Errorf("header %s was not recorded", name))
		}
	}
	var last string
	items, _ := got.body["value"].([]any)
	for _, item := range append([]any{got.body}, items...) {
		id, _ := at(item, "id").(string)
		parts := strings.Split(id, "/")
		if len(parts) < 6 {
			continue
		}
		if created := at(item, "attributes", "created"); r.created[id] == nil {
			r.created[id] = created
		} else if r.created[id] != created {
			all = append(all, fmt.Errorf("%s was created at %v and is now at %v", id, r.created[id], created))
		}
		if e.Request.Method == "PUT" {
			r.values[id] = r.secret
		}
		if value, ok := at(item, "value").(string); ok && r.values[id] != value {
			all = append(all, fmt.Errorf("the value of %s is %q, sent was %q", id, value, r.values[id]))
		}
		if parts[5] < last {
			all = append(all, fmt.Errorf("version %s is listed after %s", parts[5], last))
		}
		if len(items) > 0 {
			last = parts[5]
		}
	}
	return all
}

// header returns a recorded header; the case of its name does not matter.
func (r *recording) header(name string) string {
	for n, value := range r.Response.Headers {
		if strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}
