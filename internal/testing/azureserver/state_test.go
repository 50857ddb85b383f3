package azureserver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// bring brings the secret "n" into a state, with the API and the clock only.
func (x *tester) bring(t *testing.T, s state) {
	t.Helper()
	do := func(method, path string, body any) {
		if r := x.call(t, method, path, body); r.status >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, r.status, r.text)
		}
	}
	d := DefaultDelays()
	steps := map[state]int{absent: 0, live: 1, beingDeleted: 2, deleted: 3, recovering: 4, unwritable: 5, beingPurged: 6}[s]
	if steps >= 1 {
		do(http.MethodPut, "/secrets/n", map[string]any{"value": "v"})
	}
	if steps >= 2 {
		do(http.MethodDelete, "/secrets/n", nil)
	}
	if steps >= 3 {
		x.clock.Advance(d.Delete)
	}
	if steps == 4 || steps == 5 {
		do(http.MethodPost, "/deletedsecrets/n/recover", nil)
	}
	if steps == 5 {
		x.clock.Advance(d.Recover)
	}
	if steps == 6 {
		do(http.MethodDelete, "/deletedsecrets/n", nil)
	}
	if got := x.State("n"); got != string(s) {
		t.Fatalf("the secret is %s, not %s", got, s)
	}
}

// The answers for each state, as recorded, or as the comments in the code infer them.
func TestAnswersByState(t *testing.T) {
	const (
		gone    = "404 SecretNotFound long"
		notYet  = "404 SecretNotFound short"
		deletes = "409 ObjectIsBeingDeleted"
		in      = "409 ObjectIsDeletedButRecoverable"
		returns = "409 ObjectIsBeingRecovered"
		purges  = "409 "
	)
	states := []state{live, beingDeleted, deleted, recovering, unwritable, beingPurged, absent}
	for _, row := range []struct {
		method, path string
		answers      [7]string
	}{
		{"PUT", "/secrets/n", [7]string{"200", deletes, in, returns, returns, purges, "200"}},
		{"GET", "/secrets/n/", [7]string{"200", gone, gone, gone, "200", gone, gone}},
		{"PATCH", "/secrets/n", [7]string{"200", gone, gone, gone, "200", gone, gone}},
		{"DELETE", "/secrets/n", [7]string{"200", gone, gone, returns, "200", gone, gone}},
		{"GET", "/secrets/n/versions", [7]string{"200 1", "200 0", "200 0", "200 0", "200 1", "200 0", "200 0"}},
		{"GET", "/secrets", [7]string{"200 1", "200 0", "200 0", "200 0", "200 1", "200 0", "200 0"}},
		{"GET", "/deletedsecrets", [7]string{"200 0", "200 0", "200 1", "200 0", "200 0", "200 0", "200 0"}},
		{"GET", "/deletedsecrets/n", [7]string{gone, notYet, "200", notYet, notYet, gone, gone}},
		{"POST", "/deletedsecrets/n/recover", [7]string{gone, deletes, "200", returns, gone, purges, gone}},
		{"DELETE", "/deletedsecrets/n", [7]string{gone, deletes, "204", returns, gone, purges, gone}},
		{"POST", "/secrets/n/backup", [7]string{"200", gone, gone, gone, "200", gone, gone}},
	} {
		for i, s := range states {
			t.Run(fmt.Sprintf("%s %s, %s", row.method, row.path, s), func(t *testing.T) {
				x := newTester(t)
				x.bring(t, s)
				var body any
				if row.method == "PUT" || row.method == "PATCH" {
					body = map[string]any{"value": "w"}
				}
				if got := short(x.call(t, row.method, row.path, body)); got != row.answers[i] {
					t.Errorf("%s, not %s", got, row.answers[i])
				}
			})
		}
	}
}

// short writes an answer in the form of the table above.
func short(r reply) string {
	out := fmt.Sprint(r.status)
	switch list, isList := r.body["value"].([]any); {
	case isList:
		out += fmt.Sprint(" ", len(list))
	case r.status == 409:
		out += " " + r.inner()
	case r.status >= 400:
		length := "long"
		if len(r.text) < 150 {
			length = "short"
		}
		out += " " + r.code() + " " + length
	}
	return out
}

// Each change of state takes its delay, to the moment.
func TestDelays(t *testing.T) {
	d := DefaultDelays()
	for _, c := range []struct {
		from, to state
		delay    time.Duration
	}{
		{beingDeleted, deleted, d.Delete},
		{recovering, unwritable, d.Recover},
		{unwritable, live, d.RecoverWrite},
		{beingPurged, absent, d.Purge},
		{deleted, absent, 90*24*time.Hour - d.Delete},
	} {
		x := newTester(t)
		x.bring(t, c.from)
		x.clock.Advance(c.delay - time.Nanosecond)
		if got := x.State("n"); got != string(c.from) {
			t.Errorf("%s became %s too early", c.from, got)
		}
		x.clock.Advance(time.Nanosecond)
		if got := x.State("n"); got != string(c.to) {
			t.Errorf("%s became %s, not %s", c.from, got, c.to)
		}
	}
}

// A purge frees the name. A new secret with it has nothing of the old one.
func TestNewLifeAfterPurge(t *testing.T) {
	x := newTester(t)
	x.bring(t, beingPurged)
	x.clock.Advance(DefaultDelays().Purge)
	x.call(t, http.MethodPut, "/secrets/N", map[string]any{"value": "new"})
	r := x.call(t, http.MethodGet, "/secrets/n/versions", nil)
	if list := r.body["value"].([]any); len(list) != 1 || !strings.Contains(at(list[0], "id").(string), "/secrets/N/") {
		t.Errorf("%s", r.text)
	}
}

// Versions keep their values; a write makes a new one, which is the latest.
func TestVersions(t *testing.T) {
	x := newTester(t)
	ids := map[string]string{}
	for _, value := range []string{"1", "2", "3"} {
		r := x.call(t, http.MethodPut, "/secrets/n", map[string]any{"value": value})
		id := r.body["id"].(string)
		ids[value] = id[strings.LastIndexByte(id, '/')+1:]
	}
	for value, id := range ids {
		if r := x.call(t, http.MethodGet, "/secrets/N/"+strings.ToUpper(id), nil); r.body["value"] != value {
			t.Errorf("version %s: %s", value, r.text)
		}
	}
	if r := x.call(t, http.MethodGet, "/secrets/n", nil); r.body["value"] != "3" {
		t.Errorf("the latest: %s", r.text)
	}
	if r := x.call(t, http.MethodGet, "/secrets/n/"+strings.Repeat("0", 32), nil); r.status != 404 {
		t.Errorf("a version that is not there: %d", r.status)
	}
	if r := x.call(t, http.MethodDelete, "/secrets/n/"+ids["1"], nil); r.status != 405 {
		t.Errorf("a single version was deleted: %d", r.status)
	}
}

func TestWhatIsRefused(t *testing.T) {
	x := newTester(t)
	x.Add(Seed{Name: "cert", Managed: true, Value: "v"})
	long := strings.Repeat("x", maxValue)
	tags := map[string]string{}
	for i := range maxTags {
		tags[fmt.Sprint(i)] = "v"
	}
	for _, c := range []struct {
		path string
		body any
		want string
	}{
		{"/secrets/n", map[string]any{"value": long}, "200"},
		{"/secrets/n", map[string]any{"value": long + "x"}, "400 BadParameter"},
		{"/secrets/n", map[string]any{"value": "v", "tags": tags}, "200"},
		{"/secrets/n", map[string]any{"value": "v", "tags": map[string]string{"k": long[:maxTag+1]}}, "400 BadParameter"},
		{"/secrets/n", map[string]any{"value": "v", "contentType": long[:maxContentType+1]}, "400 BadParameter"},
		{"/secrets/n", map[string]any{}, "400 BadParameter"},
		{"/secrets/n", "text", "400 BadParameter"},
		{"/secrets/" + long[:maxName], map[string]any{"value": "v"}, "200"},
		{"/secrets/" + long[:maxName+1], map[string]any{"value": "v"}, "400 BadParameter"},
		{"/secrets/a.b", map[string]any{"value": "v"}, "400 BadParameter"},
		{"/secrets/cert", map[string]any{"value": "v"}, "403 Forbidden"},
		{"/secrets/n?api-version=1.0", map[string]any{"value": "v"}, "400 BadParameter"},
		{"/nothing/n", map[string]any{"value": "v"}, "404 NotFound"},
	} {
		r := x.call(t, http.MethodPut, c.path, c.body)
		if got := strings.TrimSpace(fmt.Sprint(r.status, " ", r.code())); got != c.want {
			t.Errorf("%.30s %.60v: %s, not %s", c.path, c.body, got, c.want)
		}
	}
	// Upper and lower case do not matter in the names of collections.
	if r := x.call(t, http.MethodGet, "/deletedSecrets/none", nil); r.code() != "SecretNotFound" {
		t.Errorf("deletedSecrets: %s", r.text)
	}
}

func TestRetentionAndProtection(t *testing.T) {
	for _, c := range []struct {
		days      int
		protected bool
		level     string
		purge     int
	}{
		{90, false, "Recoverable+Purgeable", 204},
		{90, true, "Recoverable", 403},
		{7, false, "CustomizedRecoverable+Purgeable", 204},
		{30, true, "CustomizedRecoverable", 403},
	} {
		x := newTester(t)
		x.SetRetention(c.days)
		x.SetPurgeProtection(c.protected)
		x.bring(t, deleted)
		r := x.call(t, http.MethodGet, "/deletedsecrets/n", nil)
		if at(r.body, "attributes", "recoveryLevel") != c.level || at(r.body, "attributes", "recoverableDays") != float64(c.days) {
			t.Errorf("%s", r.text)
		}
		if r := x.call(t, http.MethodDelete, "/deletedsecrets/n", nil); r.status != c.purge {
			t.Errorf("%s: purge %d", c.level, r.status)
		}
	}
}

// If a secret belongs to a certificate, it names the certificate's key with its value,
// and nowhere else.
func TestManagedSecretNamesItsKey(t *testing.T) {
	x := newTester(t)
	x.Add(Seed{Name: "cert", Value: "v", Managed: true})
	x.Add(Seed{Name: "plain", Value: "v"})
	got := x.call(t, "GET", "/secrets/cert/", nil)
	version, _ := got.body["id"].(string)
	if want := strings.Replace(version, "/secrets/", "/keys/", 1); got.body["kid"] != want || want == "" {
		t.Errorf("kid is %v, want %s", got.body["kid"], want)
	}
	for _, path := range []string{"/secrets/plain/", "/secrets", "/secrets/cert/versions"} {
		if got := x.call(t, "GET", path, nil); got.status != 200 || strings.Contains(string(got.text), `"kid"`) {
			t.Errorf("%s: %s", path, got.text)
		}
	}
}
