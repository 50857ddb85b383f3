package service_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service/token"
)

// backend opens an empty store for the suite, which is initialised.
type backend struct {
	open func(t *testing.T) *nebula.Store

	// settle waits until a list shows what was written; nil: it does at once.
	settle func(t *testing.T)
}

// suite drives every route over a store of a backend: each rule uses ids of its own.
type suite struct {
	*rig
	t         *testing.T
	backend   backend
	abilities nebula.Abilities
}

// runSuite is the HTTP suite.
func runSuite(t *testing.T, b backend) {
	store := b.open(t)
	r := newRig(t, store)
	for _, rule := range []struct {
		name string
		run  func(*suite)
	}{
		{"bytes", (*suite).bytes},
		{"JSON", (*suite).json},
		{"refused bodies", (*suite).refusedBodies},
		{"too large", (*suite).tooLarge},
		{"accept", (*suite).accept},
		{"conditions of reads", (*suite).readConditions},
		{"conditions of writes", (*suite).writeConditions},
		{"exists", (*suite).exists},
		{"tags", (*suite).tags},
		{"delete", (*suite).deletes},
		{"restore", (*suite).restores},
		{"purge", (*suite).purges},
		{"versions", (*suite).versions},
		{"list", (*suite).lists},
		{"pages", (*suite).pages},
		{"batch", (*suite).batch},
		{"store", (*suite).describes},
		{"verbs", (*suite).verbs},
		{"prefix", (*suite).prefix},
		{"scope", (*suite).scope},
		{"ids", (*suite).ids},
	} {
		t.Run(rule.name, func(t *testing.T) {
			own := *r
			own.t = t
			rule.run(&suite{rig: &own, t: t, backend: b, abilities: store.Abilities()})
		})
	}
}

func (s *suite) settle() {
	if s.backend.settle != nil {
		s.backend.settle(s.t)
	}
}

// Bytes go in and come out as they are. What else is known of a credential stays.
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
	s.want(ask{method: "PUT", path: at("bytes"), header: asBytes()}, 200, "") // no bytes are a value, too
	if v := s.value("bytes"); v != "" {
		s.t.Errorf("the value is %q", v)
	}
}

// JSON replaces what it gives.
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

// A body that is not what is expected changes nothing.
func (s *suite) refusedBodies() {
	version := s.set("refused", "kept")
	for _, body := range []string{
		``, `x`, `null`, `[]`, `"value"`, `{}`, `{"value":"x"`, `{"value":"x"}{}`, `{"value":"x"},`, `{"value":"x",}`, `{'value':'x'}`,
		`{"value":1}`, `{"value":null}`, `{"value":["x"]}`, `{"Value":"x"}`, `{"value":"x","VALUE":"y"}`, `{"value":"x","value":"y"}`,
		`{"value":"x","extra":1}`, `{"value":"x","encoding":"UTF8"}`, `{"value":"x","encoding":"hex"}`, `{"value":"x","encoding":null}`,
		`{"value":"x","encoding":"base64"}`, `{"value":"AA","encoding":"base64"}`, `{"value":"AB==","encoding":"base64"}`,
		`{"value":"AA==\n","encoding":"base64"}`, `{"value":"_-8=","encoding":"base64"}`, "{\"value\":\"\xff\"}", "{\"value\":\"a\nb\"}",
		`{"value":"\ud800"}`, `{"value":"\x"}`, `{"value":"x","tags":null}`, `{"value":"x","tags":{"a":1}}`, `{"value":"x","tags":{"a":"1","a":"1"}}`,
		`{"value":"x","tags":[]}`, `{"value":"x","interval_days":-1}`, `{"value":"x","interval_days":1.0}`, `{"value":"x","interval_days":1e1}`,
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

// What is too large is refused with a size, before the backend is called.
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
	s.want(ask{method: "PUT", path: at("large"), body: strings.Repeat("x", limit), header: asBytes()}, 413, "too_large") // as a record
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

func (s *suite) readConditions() {
	old := s.set("read", "1")
	version := s.set("read", "2")
	get := func(name, value string, status int, kind string) reply {
		return s.want(ask{method: "GET", path: at("read"), header: map[string]string{name: value}}, status, kind)
	}
	for _, ok := range []string{`"` + version + `"`, `"` + version + `-raw"`, `"x", "` + version + `"`, `*`} {
		get("If-Match", ok, 200, "")
		got := get("If-None-Match", ok, 304, "")
		if got.body != "" || got.Header.Get("ETag") != `"`+version+`"` || got.Header.Get("Content-Type") != "" {
			s.t.Errorf("%s: %q %v", ok, got.body, got.Header)
		}
	}
	for _, other := range []string{`"` + old + `"`, `"x"`} {
		get("If-Match", other, 412, "precondition_failed")
		get("If-None-Match", other, 200, "")
	}
	get("If-Match", `W/"`+version+`"`, 412, "precondition_failed")
	get("If-None-Match", `W/"`+version+`"`, 200, "")
	for _, bad := range []string{version, `"`, `""`, `"a`, `"a"b"`, ``, `"a",`} {
		get("If-Match", bad, 400, "usage")
		get("If-None-Match", bad, 400, "usage")
	}
}

func (s *suite) writeConditions() {
	put := func(id string, header map[string]string, status int, kind string) string {
		got := s.want(ask{method: "PUT", path: at(id), body: "v" + fmt.Sprint(header), header: with(header, "Content-Type", "application/octet-stream")}, status, kind)
		if status >= 300 {
			return ""
		}
		return got.item(s.t).Version
	}
	remove := func(id, tag string, status int, kind string) {
		s.want(ask{method: "DELETE", path: at(id), header: map[string]string{"If-Match": tag}}, status, kind)
	}
	if !s.abilities.Preconditions {
		version := s.set("conditions", "v")
		for _, h := range []map[string]string{{"If-None-Match": "*"}, {"If-Match": `"` + version + `"`}} {
			put("conditions", h, 501, "not_supported")
		}
		remove("conditions", `"`+version+`"`, 501, "not_supported")
		s.want(ask{method: "PATCH", path: at("conditions") + "/tags", body: `{}`, header: with(asJSON(), "If-Match", `"`+version+`"`)}, 501, "not_supported")
		return
	}
	first := put("conditions", map[string]string{"If-None-Match": "*"}, 201, "")
	put("conditions", map[string]string{"If-None-Match": "*"}, 412, "already_exists")
	second := put("conditions", map[string]string{"If-Match": `"` + first + `"`}, 200, "")
	put("conditions", map[string]string{"If-Match": `"` + first + `"`}, 412, "precondition_failed")
	third := put("conditions", map[string]string{"If-Match": `"` + second + `-raw"`}, 200, "")
	put("nothing", map[string]string{"If-Match": `"` + first + `"`}, 412, "precondition_failed")
	put("conditions", map[string]string{"If-Match": `W/"` + third + `"`}, 412, "precondition_failed")
	for _, h := range []map[string]string{
		{"If-Match": `*`}, {"If-Match": `"a", "b"`}, {"If-Match": third}, {"If-Match": `""`}, {"If-Match": ``}, {"If-Match": `"-raw"`}, {"If-Match": `"%zz"`},
		{"If-None-Match": `"` + first + `"`}, {"If-None-Match": `*, *`}, {"If-None-Match": `*`, "If-Match": `"` + third + `"`},
		{"If-Unmodified-Since": "Sat, 28 Nov 2026 10:00:00 GMT"}, {"If-Modified-Since": "x"},
	} {
		put("conditions", h, 400, "usage")
	}
	for _, path := range []string{"/restore", "/purge"} {
		s.want(ask{method: "POST", path: at("conditions") + path, header: map[string]string{"If-Match": `"` + third + `"`}}, 400, "usage")
	}
	s.want(ask{method: "DELETE", path: at("conditions"), header: map[string]string{"If-None-Match": "*"}}, 400, "usage")

	tag := func(version string, status int, kind string) reply {
		return s.want(ask{method: "PATCH", path: at("conditions") + "/tags", body: `{"set":{"a":"b"},"remove":["c"]}`, header: with(asJSON(), "If-Match", `"`+version+`"`)}, status, kind)
	}
	tag(second, 412, "precondition_failed")
	fourth := tag(third, 200, "").item(s.t).Version
	if got := s.want(ask{method: "GET", path: at("conditions")}, 200, "").item(s.t); got.Version != fourth || got.Metadata.Tags["a"] != "b" {
		s.t.Errorf("%+v %+v", got, got.Metadata)
	}
	remove("conditions", `"`+third+`"`, 412, "precondition_failed")
	remove("conditions", `"`+fourth+`"`, 204, "")
	remove("conditions", `"`+fourth+`"`, 412, "precondition_failed")
}

func (s *suite) exists() {
	s.want(ask{method: "HEAD", path: at("exists")}, 404, "")
	s.set("exists", "v")
	got := s.want(ask{method: "HEAD", path: at("exists")}, 200, "")
	if got.body != "" || got.Header.Get("ETag") != "" {
		s.t.Errorf("%q %v", got.body, got.Header)
	}
	s.want(ask{method: "GET", path: at("nothing-here")}, 404, "not_found")
}

func (s *suite) tags() {
	patch := func(id, body string, status int, kind string) reply {
		return s.want(ask{method: "PATCH", path: at(id) + "/tags", body: body, header: asJSON()}, status, kind)
	}
	patch("untagged", `{"set":{"a":"b"}}`, 404, "not_found")
	before := s.set("tags", "v")
	version := patch("tags", `{"set":{"a":"1","b":"2"}}`, 200, "").item(s.t).Version
	patch("tags", `{"set":{"c":"3","d":"4"},"remove":["a","d","never"]}`, 200, "")
	got := s.want(ask{method: "GET", path: at("tags")}, 200, "").item(s.t)
	if version == before || got.Value != "v" || !maps.Equal(got.Metadata.Tags, map[string]string{"b": "2", "c": "3"}) {
		s.t.Errorf("%+v %+v", got, got.Metadata)
	}
	for _, body := range []string{
		``, `[]`, `{"set":[]}`, `{"set":{"a":null}}`, `{"set":{"a":"1","a":"2"}}`, `{"remove":"a"}`, `{"remove":[1]}`, `{"remove":null}`, `{"Set":{}}`, `{"set":{},"set":{}}`, `{"set":{}} x`,
	} {
		patch("tags", body, 400, "usage")
	}
	for _, body := range []string{`{"set":{"":"1"}}`, `{"set":{"a=":"1"}}`, `{"set":{"a-":"1"}}`, `{"set":{"a":"\u0000"}}`, `{"set":{"a":"` + strings.Repeat("x", 257) + `"}}`} {
		patch("tags", body, 422, "invalid_metadata")
	}
}

func (s *suite) deletes() {
	s.want(ask{method: "DELETE", path: at("deleted")}, 204, "")
	s.set("deleted", "v")
	if got := s.want(ask{method: "DELETE", path: at("deleted")}, 204, ""); got.body != "" {
		s.t.Errorf("%q", got.body)
	}
	s.want(ask{method: "GET", path: at("deleted")}, 404, "not_found")
	s.want(ask{method: "HEAD", path: at("deleted")}, 404, "")
	s.want(ask{method: "DELETE", path: at("deleted")}, 204, "")
	s.want(ask{method: "PUT", path: at("deleted"), body: "again", header: asBytes()}, 201, "") // a deleted one is none
}

func (s *suite) restores() {
	post := func(status int, kind string) {
		s.want(ask{method: "POST", path: at("restored") + "/restore"}, status, kind)
	}
	s.set("restored", "v")
	if !s.abilities.Restore {
		s.want(ask{method: "DELETE", path: at("restored")}, 204, "")
		post(501, "not_supported")
		return
	}
	post(409, "conflict")
	s.want(ask{method: "DELETE", path: at("restored")}, 204, "")
	post(204, "")
	if v := s.value("restored"); v != "v" {
		s.t.Errorf("restored %q", v)
	}
	s.want(ask{method: "POST", path: at("never-there") + "/restore"}, 404, "not_found")
}

func (s *suite) purges() {
	s.want(ask{method: "POST", path: at("purged") + "/purge"}, 204, "")
	s.set("purged", "v")
	s.want(ask{method: "POST", path: at("purged") + "/purge"}, 204, "")
	s.want(ask{method: "GET", path: at("purged")}, 404, "not_found")
	if s.abilities.Restore {
		s.want(ask{method: "POST", path: at("purged") + "/restore"}, 404, "not_found")
	}
}

func (s *suite) versions() {
	path := at("versions") + "/versions"
	first := s.set("versions", "1")
	second := s.set("versions", "2")
	if !s.abilities.History {
		s.want(ask{method: "GET", path: path}, 501, "not_supported")
		s.want(ask{method: "GET", path: at("versions") + "?version=" + first}, 501, "not_supported")
		return
	}
	var list struct {
		Items []struct {
			Version   string `json:"version"`
			CreatedAt string `json:"created_at"`
			Current   bool   `json:"current"`
			Deleted   bool   `json:"deleted"`
		} `json:"items"`
	}
	s.want(ask{method: "GET", path: path}, 200, "").decode(s.t, &list)
	if len(list.Items) != 2 || list.Items[0].Version != second || !list.Items[0].Current || list.Items[1].Version != first || list.Items[1].Current || list.Items[1].CreatedAt == "" {
		s.t.Errorf("%+v", list)
	}
	got := s.want(ask{method: "GET", path: at("versions") + "?version=" + first}, 200, "")
	if i := got.item(s.t); i.Value != "1" || i.Version != first || got.Header.Get("ETag") != `"`+first+`"` {
		s.t.Errorf("%+v", i)
	}
	got = s.want(ask{method: "GET", path: at("versions") + "?version=" + first, header: map[string]string{"Accept": "application/octet-stream"}}, 200, "")
	if got.body != "1" {
		s.t.Errorf("%q", got.body)
	}
	s.want(ask{method: "GET", path: at("versions") + "?version="}, 400, "usage")
	s.want(ask{method: "GET", path: at("versions") + "?version=never"}, 404, "not_found")
	s.want(ask{method: "GET", path: at("nothing-here") + "?version=" + first}, 404, "not_found")
	s.want(ask{method: "GET", path: at("nothing-here") + "/versions"}, 404, "not_found")
}

// list asks for a list and returns the ids.
func (s *suite) list(query string) (ids []string, all items) {
	s.t.Helper()
	all = s.want(ask{method: "GET", path: "/v1/credentials?" + query}, 200, "").items(s.t)
	for _, i := range all.Items {
		ids = append(ids, i.ID)
	}
	return ids, all
}

func (s *suite) lists() {
	for _, id := range []string{"l-b", "l-B", "l-a", "l_c"} {
		s.want(ask{method: "PUT", path: at(id), body: `{"value":"x","tags":{"list":"` + id[2:] + `","all":"1"}}`, header: asJSON()}, 201, "")
	}
	s.settle()
	for query, want := range map[string][]string{
		"prefix=l-": {"l-B", "l-a", "l-b"}, "prefix=l-a": {"l-a"}, "prefix=l-aa": nil, "tag=list%3Da": {"l-a"}, "tag=all=1": {"l-B", "l-a", "l-b", "l_c"},
		"tag=all=1&tag=list=b": {"l-b"}, "tag=list=a&tag=list=b": nil, "tag=all=1&prefix=l_": {"l_c"}, "tag=all=2": nil, "tag=all=": nil,
		"tag=all=1&limit=4": {"l-B", "l-a", "l-b", "l_c"},
	} {
		if ids, all := s.list(query); !slices.Equal(ids, want) || all.Next != "" {
			s.t.Errorf("%s: %v, next %q", query, ids, all.Next)
		}
	}
	_, all := s.list("prefix=l-&details=true")
	for _, i := range all.Items {
		if i.Metadata == nil || i.Metadata.Tags["all"] != "1" || i.Error != nil || i.Value != "" {
			s.t.Errorf("%+v", i)
		}
	}
	for _, query := range []string{
		"limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1.0", "limit=", "limit=%2B1", "details=1", "details=", "details=TRUE", "cursor=", "cursor=!", "cursor=YQ==", "cursor=YR",
		"cursor=Lg", "tag=a", "prefix=%C3%A9", "prefix=a.b", "prefix=" + strings.Repeat("x", 129), "unknown=1", "Prefix=a", "prefix=a&prefix=a", "limit=1&limit=1", "tag=%zz", "a;b", "=",
	} {
		s.want(ask{method: "GET", path: "/v1/credentials?" + query}, 400, "usage")
	}
	s.want(ask{method: "GET", path: "/v1/credentials?tag==v"}, 422, "invalid_metadata")
}

// Pages give each id once, in the order of their bytes, also by other instances.
func (s *suite) pages() {
	var want []string
	for i := range 7 {
		id := fmt.Sprintf("page-%d", i)
		s.set(id, "x")
		want = append(want, id)
	}
	s.settle()
	other := newRig(s.t, s.store)
	other.all, other.tokens = s.all, s.tokens
	for _, limit := range []int{1, 2, 3, 6, 7, 8} {
		var got []string
		query := fmt.Sprintf("/v1/credentials?prefix=page-&limit=%d", limit)
		cursor := ""
		for {
			all := s.want(ask{method: "GET", path: query + cursor}, 200, "").items(s.t)
			if len(all.Items) > limit || all.Next != "" && len(all.Items) != limit {
				s.t.Errorf("%d: a page of %d", limit, len(all.Items))
			}
			for _, i := range all.Items {
				got = append(got, i.ID)
			}
			if all.Next == "" {
				break
			}
			cursor = "&cursor=" + all.Next
		}
		if !slices.Equal(got, want) {
			s.t.Errorf("%d: %v", limit, got)
		}
	}
	after := base64.RawURLEncoding.EncodeToString([]byte("page-2x")) // of an id that is not there
	if ids, _ := s.list("prefix=page-&cursor=" + after); !slices.Equal(ids, want[3:]) {
		s.t.Errorf("after: %v", ids)
	}
}

func (s *suite) batch() {
	s.set("batch-a", "A")
	s.set("batch-b", "\xff")
	get := func(body string, status int, kind string) reply {
		return s.want(ask{method: "POST", path: "/v1/batch-get", body: body, header: asJSON()}, status, kind)
	}
	got := get(`{"ids":["batch-b","batch-none","batch-a","batch-b"]}`, 200, "")
	all := got.items(s.t).Items
	if len(all) != 4 || all[0].Value != "/w==" || all[0].Encoding != "base64" || all[2].Value != "A" || all[2].Metadata == nil || all[3].Value != "/w==" ||
		all[1].ID != "batch-none" || all[1].Error == nil || all[1].Error.Kind != "not_found" || all[1].Error.Status != 404 || all[1].Error.ID != "batch-none" {
		s.t.Errorf("%s", got.body)
	}
	many := make([]string, 100)
	for i := range many {
		many[i] = `"batch-a"`
	}
	if all := get(`{"ids":[`+strings.Join(many, ",")+`]}`, 200, "").items(s.t).Items; len(all) != 100 || all[99].Value != "A" {
		s.t.Errorf("%d results", len(all))
	}
	get(`{"ids":[`+strings.Join(append(many, `"batch-a"`), ",")+`]}`, 400, "usage")
	for _, body := range []string{``, `{}`, `[]`, `{"ids":null}`, `{"ids":"a"}`, `{"ids":[1]}`, `{"ids":[]}`, `{"ids":["a"],"ids":["b"]}`, `{"ids":["a"],"more":1}`, `{"ids":["a"]}{}`} {
		get(body, 400, "usage")
	}
	for _, id := range []string{"", ".", "-a", "a/b", "con", strings.Repeat("x", 129)} {
		get(`{"ids":["batch-a","`+id+`"]}`, 400, "invalid_id")
	}
}

func (s *suite) describes() {
	var d struct {
		Provider  string          `json:"provider"`
		Version   string          `json:"version"`
		Limits    map[string]int  `json:"limits"`
		Abilities map[string]bool `json:"abilities"`
	}
	s.want(ask{method: "GET", path: "/v1/store"}, 200, "").decode(s.t, &d)
	want := map[string]bool{"conditions": s.abilities.Preconditions, "restore": s.abilities.Restore, "purge": true, "versions": s.abilities.History}
	if d.Provider != s.store.Describe().Provider || d.Version != "1.2.3" || !maps.Equal(d.Abilities, want) ||
		d.Limits["record_bytes"] != s.store.Describe().MaxRecordSize || d.Limits["list_items"] != 1000 || d.Limits["batch_ids"] != 100 {
		s.t.Errorf("%+v", d)
	}
}

// operations are all that need a verb, on an id.
func operations(id string) map[token.Verb][]ask {
	return map[token.Verb][]ask{
		token.List: {{method: "GET", path: "/v1/credentials"}},
		token.Read: {{method: "GET", path: at(id)}, {method: "HEAD", path: at(id)}, {method: "GET", path: at(id) + "/versions"},
			{method: "POST", path: "/v1/batch-get", body: `{"ids":["` + id + `"]}`, header: asJSON()}},
		token.Write: {{method: "PUT", path: at(id), body: "x", header: asBytes()}, {method: "PATCH", path: at(id) + "/tags", body: `{"set":{"a":"b"}}`, header: asJSON()},
			{method: "POST", path: at(id) + "/restore"}},
		token.Delete: {{method: "DELETE", path: at(id)}},
		token.Admin:  {{method: "POST", path: at(id) + "/purge"}, {method: "GET", path: "/metrics"}},
	}
}

// A verb that is lacking is 403, whether or not there is such a credential.
func (s *suite) verbs() {
	s.set("verbs", "v")
	for _, id := range []string{"verbs", "verbs-none"} {
		for verb, asks := range operations(id) {
			others := slices.DeleteFunc(slices.Clone(token.Verbs()), func(v token.Verb) bool { return v == verb })
			without := s.token(token.Grant{Name: "no-" + string(verb) + id, Allow: others})
			for _, a := range asks {
				a.token = without
				s.want(a, 403, "not_allowed")
			}
			s.want(ask{method: "GET", path: "/v1/store", token: without}, 200, "")
		}
	}
	if v := s.value("verbs"); v != "v" {
		s.t.Errorf("the value is %q", v)
	}
}

// Outside of a token's prefix nothing is there, whatever is asked for.
func (s *suite) prefix() {
	s.set("prefix-out", "secret")
	s.set("prefix-in", "mine")
	s.settle()
	narrow := s.token(token.Grant{Name: "narrow", Allow: token.Verbs(), Prefix: "prefix-in"})
	for _, asks := range operations("prefix-out") {
		for _, a := range asks {
			a.token = narrow
			if !strings.HasPrefix(a.path, "/v1/credentials/") {
				continue
			}
			got := s.want(a, 404, "not_found")
			a.path = strings.Replace(a.path, "prefix-out", "prefix-xxx", 1)
			s.alike(got, s.want(a, 404, "not_found"), "prefix-out", "prefix-xxx")
		}
	}
	there := s.want(ask{method: "GET", path: at("prefix-out"), token: narrow}, 404, "not_found")
	s.alike(there, s.want(ask{method: "GET", path: at("prefix-in-none"), token: narrow}, 404, "not_found"), "prefix-out", "prefix-in-none")
	got := s.want(ask{method: "POST", path: "/v1/batch-get", token: narrow, body: `{"ids":["prefix-out","prefix-in","prefix-in-none"]}`, header: asJSON()}, 200, "")
	all := got.items(s.t).Items
	if len(all) != 3 || all[0].Error == nil || all[0].Error.Status != 404 || all[1].Value != "mine" || all[2].Error == nil || all[0].Error.Detail != all[2].Error.Detail {
		s.t.Errorf("%s", got.body)
	}
	for query, want := range map[string]int{"": 1, "?prefix=prefix-": 1, "?prefix=prefix-in": 1, "?prefix=prefix-inn": 0, "?prefix=prefix-out": 0, "?prefix=p": 1} {
		if all := s.want(ask{method: "GET", path: "/v1/credentials" + query, token: narrow}, 200, "").items(s.t).Items; len(all) != want {
			s.t.Errorf("%s: %+v", query, all)
		}
	}
	if v := s.value("prefix-out"); v != "secret" {
		s.t.Errorf("the value is %q", v)
	}
}

// alike compares two answers but for the ids and what is of one request.
func (s *suite) alike(a, b reply, idA, idB string) {
	s.t.Helper()
	plain := func(r reply, id string) string {
		body := strings.ReplaceAll(r.body, id, "ID")
		h := r.Header.Clone()
		body = strings.ReplaceAll(body, h.Get("X-Request-Id"), "REQUEST")
		for _, name := range []string{"X-Request-Id", "Date", "Content-Length"} {
			h.Del(name)
		}
		return fmt.Sprint(r.StatusCode, h, body)
	}
	if x, y := plain(a, idA), plain(b, idB); x != y {
		s.t.Errorf("told apart:\n%s\n%s", x, y)
	}
}

// Of another scope than the token's there is nothing either.
func (s *suite) scope() {
	blue := s.token(token.Grant{Name: "blue", Allow: token.Verbs(), Scope: "blue"})
	red := s.token(token.Grant{Name: "red", Allow: token.Verbs(), Scope: "red"})
	s.want(ask{method: "PUT", path: at("scope"), token: blue, body: "b", header: asBytes()}, 201, "")
	s.settle()
	for _, asks := range operations("scope") {
		for _, a := range asks {
			a.token = red
			if !strings.HasPrefix(a.path, "/v1/credentials/") || !s.abilities.History && strings.HasSuffix(a.path, "/versions") {
				continue
			}
			if a.method == "PUT" {
				s.want(a, 404, "not_found")
				if s.abilities.Preconditions {
					a.header = with(asBytes(), "If-None-Match", "*")
				}
			}
			s.want(a, 404, "not_found")
		}
	}
	got := s.want(ask{method: "POST", path: "/v1/batch-get", token: red, body: `{"ids":["scope"]}`, header: asJSON()}, 200, "").items(s.t).Items
	if len(got) != 1 || got[0].Error == nil || got[0].Error.Kind != "not_found" {
		s.t.Errorf("%+v", got)
	}
	for tok, want := range map[string]int{blue: 1, red: 0} {
		if all := s.want(ask{method: "GET", path: "/v1/credentials", token: tok}, 200, "").items(s.t).Items; len(all) != want {
			s.t.Errorf("%+v", all)
		}
	}
	i := s.want(ask{method: "GET", path: at("scope"), token: blue}, 200, "").item(s.t)
	if i.Value != "b" || i.Metadata.Scope != "blue" || i.Metadata.CreatedBy != "blue" {
		s.t.Errorf("%+v %+v", i, i.Metadata)
	}
	s.want(ask{method: "PATCH", path: at("scope") + "/tags", token: blue, body: `{"set":{"a":"b"}}`, header: asJSON()}, 200, "")
	s.want(ask{method: "PUT", path: at("scope"), token: blue, body: "c", header: asBytes()}, 200, "")
	s.want(ask{method: "DELETE", path: at("scope"), token: blue}, 204, "")
	s.want(ask{method: "DELETE", path: at("scope"), token: red}, 204, "") // there is none
}

func (s *suite) ids() {
	for _, id := range []string{"-a", "a.b", "a%20b", "%00", "%C3%A9", "con", "LPT1", strings.Repeat("x", 129), "a+b", "a:b", "a@b"} {
		for _, asks := range operations(id) {
			for _, a := range asks {
				if strings.HasPrefix(a.path, "/v1/credentials/") {
					s.want(a, http.StatusBadRequest, "invalid_id")
				}
			}
		}
	}
	s.set(strings.Repeat("x", 128), "longest")
	s.set("ID-case", "1")
	s.set("id-case", "2")
	if v := s.value("ID-case"); v != "1" {
		s.t.Errorf("the value is %q", v)
	}
}
