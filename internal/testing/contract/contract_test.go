package contract

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func newContract(t *testing.T) *Contract {
	t.Helper()
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type sent struct{ method, target, contentType, body string }

func (s sent) request(t *testing.T) *http.Request {
	t.Helper()
	var body io.Reader
	if s.body != "" {
		body = strings.NewReader(s.body)
	}
	r := httptest.NewRequest(s.method, "http://localhost:8200"+s.target, body)
	r.Header.Set("Authorization", "Bearer nbt_x")
	if s.contentType != "" {
		r.Header.Set("Content-Type", s.contentType)
	}
	return r
}

const (
	jsonType  = "application/json"
	bytesType = "application/octet-stream"
)

// These requests are allowed, so that the refusals below mean something.
func TestRequestsThatAreAllowed(t *testing.T) {
	c := newContract(t)
	for _, s := range []sent{
		{"GET", "/v1/credentials", "", ""},
		{"GET", "/v1/credentials?tag=a=b&tag=c=d%3De&limit=1000&details=true&prefix=git_&cursor=Z2l0aHVi", "", ""},
		{"GET", "/v1/credentials/github_token?version=5f0c", "", ""},
		{"HEAD", "/v1/credentials/Con1", "", ""},
		{"PUT", "/v1/credentials/a", bytesType, "\x00\xff"},
		{"PUT", "/v1/credentials/a", jsonType, `{"value":""}`},
		{"PUT", "/v1/credentials/a", jsonType + "; charset=utf-8", `{"value":"x","encoding":"utf8","tags":{"a b":"c=d"},"interval_days":0}`},
		{"PUT", "/v1/credentials/a", jsonType, `{"value":"/wD+","encoding":"base64","interval_days":4294967295}`},
		{"DELETE", "/v1/credentials/a", "", ""},
		{"PATCH", "/v1/credentials/a/tags", jsonType, `{"set":{"a":"b"},"remove":["c"]}`},
		{"POST", "/v1/credentials/a/restore", "", ""},
		{"POST", "/v1/batch-get", jsonType, `{"ids":["a","b"]}`},
		{"GET", "/page/app.js", "", ""},
	} {
		if err := c.Request(s.request(t)); err != nil {
			t.Errorf("%v: %v", s, err)
		}
	}
}

func TestRequestsThatAreForbidden(t *testing.T) {
	c := newContract(t)
	many := `{"ids":["a"` + strings.Repeat(`,"a"`, 100) + `]}`
	for _, s := range []sent{
		{"GET", "/v1/credentials?limit=0", "", ""},
		{"GET", "/v1/credentials?limit=1001", "", ""},
		{"GET", "/v1/credentials?limit=ten", "", ""},
		{"GET", "/v1/credentials?details=yes", "", ""},
		{"GET", "/v1/credentials?tag=a", "", ""},
		{"GET", "/v1/credentials?tag=a=b&tag=c-=d", "", ""},
		{"GET", "/v1/credentials?cursor=%21", "", ""},
		{"GET", "/v1/credentials?prefix=a.b", "", ""},
		{"GET", "/v1/credentials?filter=a", "", ""},            // undeclared
		{"GET", "/v1/credentials?limit=1&limit=2", "", ""},     // twice
		{"GET", "/v1/credentials/a?version=1&version", "", ""}, // twice
		{"GET", "/v1/credentials/a.b", "", ""},
		{"GET", "/v1/credentials/-a", "", ""},
		{"GET", "/v1/credentials/CON", "", ""},
		{"GET", "/v1/credentials/" + strings.Repeat("a", 129), "", ""},
		{"GET", "/v1/credentials/a?version=", "", ""},
		{"POST", "/v1/credentials", jsonType, `{}`}, // no such method
		{"get", "/v1/credentials", "", ""},          // no such method either
		{"GET", "/v1/nothing", "", ""},              // no such path
		{"GET", "/v1/credentials/%61", "", ""},      // only the validator knows this path
		{"DELETE", "/v1/credentials/a", jsonType, `{}`},
		{"PUT", "/v1/credentials/a", "text/plain", "x"},
		{"PUT", "/v1/credentials/a", jsonType, `{"value":1}`},
		{"PUT", "/v1/credentials/a", jsonType, `{"encoding":"utf8"}`},
		{"PUT", "/v1/credentials/a", jsonType, `{"value":"x","encoding":"hex"}`},
		{"PUT", "/v1/credentials/a", jsonType, `{"value":"x","encoding":"base64"}`},
		{"PUT", "/v1/credentials/a", jsonType, `{"value":"/x==","encoding":"base64"}`}, // bits that would be lost
		{"PUT", "/v1/credentials/a", jsonType, `{"value":"x","note":"y"}`},
		{"PUT", "/v1/credentials/a", jsonType, `{"value":"x","interval_days":4294967296}`},
		{"PUT", "/v1/credentials/a", jsonType, `{"value":"x","tags":{"a=b":"c"}}`},
		{"PUT", "/v1/credentials/a", jsonType, `{"value":"x","tags":{"a":"` + strings.Repeat("é", 257) + `"}}`},
		{"PATCH", "/v1/credentials/a/tags", jsonType, `{"set":{"a":1}}`},
		{"PATCH", "/v1/credentials/a/tags", jsonType, `{"add":{}}`},
		{"POST", "/v1/batch-get", jsonType, many},
		{"POST", "/v1/batch-get", jsonType, `{"ids":["a.b"]}`},
		{"POST", "/v1/batch-get", jsonType, `{}`},
	} {
		if err := c.Request(s.request(t)); err == nil {
			t.Errorf("%v is allowed", s)
		}
	}
	r := sent{"GET", "/v1/credentials/a", "", ""}.request(t)
	r.Header.Del("Authorization")
	if err := c.Request(r); err == nil {
		t.Error("a request without a token is allowed")
	}
}

type got struct {
	status      int
	contentType string
	header      [2]string
	body        string
}

func (g got) answer() *http.Response {
	a := &http.Response{StatusCode: g.status, Header: http.Header{
		"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}, "X-Request-Id": {"0f8a3c5e7b2d4961"},
	}, Body: io.NopCloser(strings.NewReader(g.body))}
	if g.contentType != "" {
		a.Header.Set("Content-Type", g.contentType)
	}
	if g.header[0] != "" {
		a.Header.Set(g.header[0], g.header[1])
	}
	return a
}

const (
	metadata   = `{"created_at":"2026-11-02T09:30:00Z","last_modified":"2026-11-02T09:30:00.5Z","tags":{"a":"b"}}`
	credential = `{"id":"a","value":"x","encoding":"utf8","version":"1","metadata":` + metadata + `}`
)

func problem(status, kind string) string {
	title := map[string]string{"400": "Bad Request", "404": "Not Found", "401": "Unauthorized", "405": "Method Not Allowed", "503": "Service Unavailable", "418": "I'm a teapot"}[status]
	return `{"type":"about:blank","title":"` + title + `","status":` + status + `,"detail":"x","kind":"` + kind + `","request_id":"0f8a3c5e7b2d4961"}`
}

func TestAnswers(t *testing.T) {
	c := newContract(t)
	tag := [2]string{"ETag", `"1"`}
	none := [2]string{}
	get := sent{"GET", "/v1/credentials/a", "", ""}
	for name, test := range map[string]struct {
		to   sent
		got  got
		good bool
	}{
		"credential":           {get, got{200, jsonType, tag, credential}, true},
		"bytes":                {get, got{200, bytesType, tag, "\xff"}, true},
		"no entity tag":        {get, got{200, jsonType, none, credential}, false},
		"a weak one":           {get, got{200, jsonType, [2]string{"ETag", `W/"1"`}, credential}, false},
		"another type":         {get, got{200, "text/html", tag, credential}, false},
		"no type":              {get, got{200, "", tag, credential}, false},
		"no JSON":              {get, got{200, jsonType, tag, credential + "x"}, false},
		"no metadata":          {get, got{200, jsonType, tag, `{"id":"a","value":"x","encoding":"utf8","version":"1"}`}, false},
		"another encoding":     {get, got{200, jsonType, tag, strings.Replace(credential, "utf8", "hex", 1)}, false},
		"an undeclared member": {get, got{200, jsonType, tag, strings.Replace(credential, `"id"`, `"note":"x","id"`, 1)}, false},
		"one further in":       {get, got{200, jsonType, tag, strings.Replace(credential, `"tags"`, `"note":"x","tags"`, 1)}, false},
		"no time":              {get, got{200, jsonType, tag, strings.Replace(credential, `"2026-11-02T09:30:00Z"`, `"2026-11-02 09:30"`, 1)}, false},
		"an undeclared status": {get, got{202, jsonType, tag, credential}, false},
		"not modified":         {get, got{304, "", tag, ""}, true},
		"no cache":             {get, got{200, jsonType, [2]string{"Cache-Control", "private"}, credential}, false},

		"not found":                {get, got{404, problemType, none, problem("404", "not_found")}, true},
		"the kind of another":      {get, got{404, problemType, none, problem("404", "invalid_token")}, false},
		"the status of another":    {get, got{404, problemType, none, problem("503", "unavailable")}, false},
		"of another request":       {get, got{404, problemType, none, strings.Replace(problem("404", "not_found"), "0f", "1f", 1)}, false},
		"problem as JSON":          {get, got{404, jsonType, none, problem("404", "not_found")}, false},
		"plain text":               {get, got{404, "text/plain", none, "404 page not found"}, false},
		"net/http":                 {get, got{400, "text/plain; charset=utf-8", [2]string{"Cache-Control", ""}, "400 Bad Request"}, true},
		"a way in":                 {get, got{401, problemType, [2]string{"WWW-Authenticate", `Bearer realm="nebula"`}, problem("401", "invalid_token")}, true},
		"no way in":                {get, got{401, problemType, none, problem("401", "invalid_token")}, false},
		"when":                     {get, got{503, problemType, [2]string{"Retry-After", "5"}, problem("503", "busy")}, true},
		"no when":                  {get, got{503, problemType, none, problem("503", "busy")}, false},
		"when, not in seconds":     {get, got{503, problemType, [2]string{"Retry-After", "soon"}, problem("503", "busy")}, false},
		"an undeclared refusal":    {get, got{418, problemType, none, problem("418", "usage")}, false},
		"no such path":             {sent{"GET", "/v1/x", "", ""}, got{404, problemType, none, problem("404", "not_found")}, true},
		"no such path, answered":   {sent{"GET", "/v1/x", "", ""}, got{200, jsonType, none, "{}"}, false},
		"no path with an escape":   {sent{"GET", "/v1/credentials%2Fa", "", ""}, got{400, problemType, none, problem("400", "usage")}, true},
		"another method":           {sent{"get", "/v1/store", "", ""}, got{405, problemType, [2]string{"Allow", "GET"}, problem("405", "method_not_allowed")}, true},
		"no such method":           {sent{"TRACE", "/v1/store", "", ""}, got{405, problemType, [2]string{"Allow", "GET"}, problem("405", "method_not_allowed")}, true},
		"no such method, answered": {sent{"TRACE", "/v1/store", "", ""}, got{200, jsonType, none, "{}"}, false},
		"a false Allow":            {sent{"POST", "/v1/store", "", ""}, got{405, problemType, [2]string{"Allow", "GET, HEAD"}, problem("405", "method_not_allowed")}, false},
		"no Allow":                 {sent{"POST", "/v1/store", "", ""}, got{405, problemType, none, problem("405", "method_not_allowed")}, false},

		"done":                {sent{"DELETE", "/v1/credentials/a", "", ""}, got{204, "", none, ""}, true},
		"done, with a body":   {sent{"DELETE", "/v1/credentials/a", "", ""}, got{204, jsonType, none, "{}"}, false},
		"exists":              {sent{"HEAD", "/v1/credentials/a", "", ""}, got{200, "", none, ""}, true},
		"exists, with a body": {sent{"HEAD", "/v1/credentials/a", "", ""}, got{200, jsonType, none, "{}"}, false},
		"batch": {sent{"POST", "/v1/batch-get", jsonType, `{"ids":["a","b"]}`},
			got{200, jsonType, none, `{"items":[` + credential + `,{"id":"b","error":` + problem("404", "not_found") + `}]}`}, true},
		"batch of neither": {sent{"POST", "/v1/batch-get", jsonType, `{"ids":["a"]}`}, got{200, jsonType, none, `{"items":[{"id":"a"}]}`}, false},
		"batch of both": {sent{"POST", "/v1/batch-get", jsonType, `{"ids":["a"]}`},
			got{200, jsonType, none, `{"items":[` + strings.Replace(credential, `"id"`, `"error":`+problem("404", "not_found")+`,"id"`, 1) + `]}`}, false},
		"metrics": {sent{"GET", "/metrics", "", ""}, got{200, "text/plain; version=0.0.4; charset=utf-8", none, "x 1\n"}, true},
		"alive":   {sent{"GET", "/healthz", "", ""}, got{200, "text/plain; charset=utf-8", none, "ok\n"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := test.got.answer()
			err := c.Answer(test.to.request(t), a)
			if (err == nil) != test.good {
				t.Errorf("%v", err)
			}
			if left, err := io.ReadAll(a.Body); err != nil || string(left) != test.got.body {
				t.Errorf("the body cannot be read again: %q %v", left, err)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// recorder stands in for a test that Transport fails.
type recorder struct {
	testing.TB
	failures int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failures++ }

func TestTransport(t *testing.T) {
	body := []byte(`{"value":"x","note":"y"}`)
	for _, test := range []struct {
		answer   got
		failures int
	}{
		{got{200, jsonType, [2]string{}, `{"id":"a","version":"1"}`}, 1}, // the request is forbidden
		{got{200, jsonType, [2]string{}, `{"id":"a"}`}, 2},               // and the answer is not described
		{got{422, problemType, [2]string{}, `{}`}, 1},
	} {
		recorded := &recorder{TB: t}
		client := http.Client{Transport: Transport(recorded, roundTrip(func(r *http.Request) (*http.Response, error) {
			if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%q is sent: %v", got, err)
			}
			return test.answer.answer(), nil
		}))}
		r, err := http.NewRequestWithContext(t.Context(), "PUT", "http://localhost/v1/credentials/a", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", jsonType)
		r.Header.Set("Authorization", "Bearer nbt_x")
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if left, err := io.ReadAll(a.Body); err != nil || string(left) != test.answer.body {
			t.Errorf("%q arrives: %v", left, err)
		}
		a.Body.Close()
		if recorded.failures != test.failures {
			t.Errorf("%v fails %d times", test.answer, recorded.failures)
		}
	}
}
