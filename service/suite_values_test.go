package service_test

import (
	"maps"
	"strings"
)

// Bytes come out as they went in. The rest of a credential stays.
func (s *suite) bytes() {
	value := "\x00\xff\r\nz\xc3"
	first := s.want(ask{method: "PUT", path: at("bytes"), body: value, header: asBytes()}, 201, "").item(s.t)
	if first.ID != "bytes" || first.Version == "" {
		s.t.Errorf("answered %+v", first)
	}
	got := s.want(ask{method: "GET", path: at("bytes"), header: map[string]string{"Accept": "application/octet-stream"}}, 200, "")
	if got.body != value || got.Header.Get("Content-Type") != "application/octet-stream" ||
		got.Header.Get("ETag") != `"`+first.Version+`-raw"` || got.Header.Get("Content-Disposition") != "attachment" ||
		got.ContentLength != int64(len(value)) {
		s.t.Errorf("%q, %v", got.body, got.Header)
	}
	s.want(ask{method: "PUT", path: at("bytes"), header: asJSON(),
		body: `{"value":"x","tags":{"k":"v"},"interval_days":7}`}, 200, "")
	before := s.want(ask{method: "GET", path: at("bytes")}, 200, "").item(s.t)
	second := s.want(ask{method: "PUT", path: at("bytes"), body: "y", header: asBytes(), chunked: true}, 200, "").item(s.t)
	after := s.want(ask{method: "GET", path: at("bytes")}, 200, "").item(s.t)
	if after.Value != "y" || after.Version != second.Version || after.Version == before.Version || after.Metadata.Tags["k"] != "v" ||
		after.Metadata.Rotation == nil || after.Metadata.Rotation.Days != 7 || !after.Metadata.CreatedAt.Equal(before.Metadata.CreatedAt) {
		s.t.Errorf("after %+v %+v there is %+v %+v", before, before.Metadata, after, after.Metadata)
	}
	if after.Metadata.CreatedBy != "all" {
		s.t.Errorf("made by %q", after.Metadata.CreatedBy)
	}
	s.want(ask{method: "PUT", path: at("bytes"), header: asBytes()}, 200, "") // an empty value is a value
	if v := s.value("bytes"); v != "" {
		s.t.Errorf("the value is %q", v)
	}
}

// JSON replaces only what it contains.
func (s *suite) json() {
	put := func(body string, status int) item {
		return s.want(ask{method: "PUT", path: at("json"), body: body, header: asJSON()}, status, "").item(s.t)
	}
	read := func() item { return s.want(ask{method: "GET", path: at("json")}, 200, "").item(s.t) }
	put(`{"value":"a\u00e9\n\"\\\ud83d\ude00","encoding":"utf8","tags":{"a":"1","b":"2"},"interval_days":30}`, 201)
	got := read()
	if got.Value != "aé\n\"\\😀" || got.Encoding != "utf8" || got.ID != "json" || !maps.Equal(got.Metadata.Tags, map[string]string{"a": "1", "b": "2"}) || got.Metadata.Rotation.Days != 30 {
		s.t.Errorf("%+v, %+v", got, got.Metadata)
	}
	put(` { "tags" : { "c" : "" } , "value" : "AP8=" , "encoding" : "base64" } `, 200)
	got = read()
	if got.Value != "AP8=" || got.Encoding != "base64" || !maps.Equal(got.Metadata.Tags, map[string]string{"c": ""}) || got.Metadata.Rotation.Days != 30 {
		s.t.Errorf("%+v, %+v", got, got.Metadata)
	}
	put(`{"value":"","interval_days":0,"tags":{}}`, 200)
	got = read()
	if got.Value != "" || got.Encoding != "utf8" || len(got.Metadata.Tags) != 0 || got.Metadata.Rotation != nil {
		s.t.Errorf("%+v, %+v", got, got.Metadata)
	}
	s.want(ask{method: "PUT", path: at("json"), body: `{"value":"z"}`, header: with(asJSON(), "Content-Type", `application/json; charset="UTF-8"`)}, 200, "")
}

// An unexpected body changes nothing.
func (s *suite) refusedBodies() {
	version := s.set("refused", "kept")
	for _, body := range []string{
		``, `x`, `null`, `[]`, `"value"`, `{}`, `{"value":"x"`, `{"value":"x"}{}`, `{"value":"x"},`, `{"value":"x",}`, `{'value':'x'}`,
		`{"value":1}`, `{"value":null}`, `{"value":["x"]}`, `{"Value":"x"}`, `{"value":"x","VALUE":"y"}`, `{"value":"x","value":"y"}`,
		`{"value":"x","extra":1}`, `{"value":"x","encoding":"UTF8"}`, `{"value":"x","encoding":"hex"}`, `{"value":"x","encoding":null}`,
		`{"value":"x","encoding":"base64"}`, `{"value":"AA","encoding":"base64"}`, `{"value":"AB==","encoding":"base64"}`,
		`{"value":"AA==\n","encoding":"base64"}`, `{"value":"_-8=","encoding":"base64"}`, "{\"value\":\"\xff\"}", "{\"value\":\"a\nb\"}",
		`{"value":"\ud800"}`, `{"value":"\x"}`, `{"value":"x","tags":null}`, `{"value":"x","tags":{"a":1}}`, `{"value":"x","tags":{"a":"1","a":"1"}}`,
		`{"value":"x","tags":[]}`, `{"value":"x","interval_days":-1}`, `{"value":"x","interval_days":1.5}`, `{"value":"x","interval_days":1e1}`,
		`{"value":"x","interval_days":4294967296}`, `{"value":"x","interval_days":"1"}`, `{"value":"x","interval_days":null}`, `{"value":"x"} x`,
		"\ufeff" + `{"value":"x"}`,
	} {
		s.want(ask{method: "PUT", path: at("refused"), body: body, header: asJSON()}, 400, "usage")
	}
	s.want(ask{method: "PUT", path: at("refused"), body: `{"value":"x","tags":{"a=":"1"}}`, header: asJSON()}, 422, "invalid_metadata")
	for _, h := range []map[string]string{
		nil, {"Content-Type": ""}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "text/json"},
		{"Content-Type": "application/json; charset=latin1"}, {"Content-Type": "application/json, application/json"}, {"Content-Type": "application/merge-patch+json"},
		{"Content-Type": "application/json", "Content-Encoding": "gzip"}, {"Content-Type": "application/octet-stream", "Content-Encoding": "br"},
	} {
		s.want(ask{method: "PUT", path: at("refused"), body: `{"value":"x"}`, header: h}, 415, "unsupported_media_type")
		if h["Content-Type"] != "application/octet-stream" {
			s.want(ask{method: "PATCH", path: at("refused") + "/tags", body: `{}`, header: h}, 415, "unsupported_media_type")
			s.want(ask{method: "POST", path: "/v1/batch-get", body: `{"ids":["refused"]}`, header: h}, 415, "unsupported_media_type")
		}
	}
	if got := s.want(ask{method: "GET", path: at("refused")}, 200, "").item(s.t); got.Version != version || got.Value != "kept" {
		s.t.Errorf("there is %+v", got)
	}
	for _, a := range []ask{
		{method: "GET", path: at("refused")}, {method: "HEAD", path: at("refused")}, {method: "DELETE", path: at("refused")}, {method: "GET", path: "/v1/credentials"},
		{method: "GET", path: "/v1/store"}, {method: "POST", path: at("refused") + "/restore"}, {method: "POST", path: at("refused") + "/purge"},
		{method: "GET", path: at("refused") + "/versions"}, {method: "GET", path: "/healthz"}, {method: "GET", path: "/openapi.yaml"},
	} {
		a.body, a.header = "x", asBytes()
		s.want(a, 400, "usage")
		a.chunked = true
		s.want(a, 400, "usage")
	}
}

// If a value is too large, it is refused with a size before the backend is called.
func (s *suite) tooLarge() {
	limit := s.store.Describe().MaxRecordSize
	if limit == 0 || limit > 16<<20 {
		limit = 16 << 20
	}
	s.client = s.server.Client() // the validator takes minutes for bodies like these
	for _, chunked := range []bool{false, true} {
		s.want(ask{method: "PUT", path: at("large"), body: strings.Repeat("x", limit+1), header: asBytes(), chunked: chunked}, 413, "too_large")
		s.want(ask{method: "PUT", path: at("large"), body: `{"value":"` + strings.Repeat("x", 2*limit+1<<20) + `"}`, header: asJSON(), chunked: chunked}, 413, "too_large")
	}
	s.want(ask{method: "PUT", path: at("large"), body: strings.Repeat("x", limit), header: asBytes()}, 413, "too_large") // too large as a record
	s.want(ask{method: "PATCH", path: at("large") + "/tags", body: `{"set":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`, header: asJSON()}, 413, "too_large")
	s.want(ask{method: "POST", path: "/v1/batch-get", body: `{"ids":[` + strings.Repeat(" ", 64<<10) + `]}`, header: asJSON()}, 413, "too_large")
	s.want(ask{method: "HEAD", path: at("large")}, 404, "")
}

func (s *suite) accept() {
	s.set("accept", "v")
	for accept, want := range map[string]string{
		"": "json", "*/*": "json", "application/*": "json", "application/json": "json", "application/octet-stream": "bytes", "APPLICATION/OCTET-STREAM": "bytes",
		"text/html, */*;q=0.1": "json", "application/json;q=0.5, application/octet-stream": "bytes", "application/octet-stream;q=0.9, application/json": "json",
		"application/json;q=0, */*": "bytes", "application/octet-stream; q=0.2, application/json;q=0.1": "bytes", "text/plain": "none", "application/json;q=0": "none",
		"application/json;q=2": "none", "x": "none",
	} {
		header := map[string]string{"Accept": accept}
		switch want {
		case "none":
			s.want(ask{method: "GET", path: at("accept"), header: header}, 406, "not_acceptable")
		case "json":
			s.want(ask{method: "GET", path: at("accept"), header: header}, 200, "").item(s.t)
		default:
			if got := s.want(ask{method: "GET", path: at("accept"), header: header}, 200, ""); got.body != "v" {
				s.t.Errorf("%q: %s", accept, got.body)
			}
		}
	}
}
