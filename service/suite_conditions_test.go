package service_test

import (
	"fmt"
	"strings"
)

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
	get("If-Match", `"a,b" , "`+version+`"`, 200, "")
	get("If-Match", `""`, 412, "precondition_failed")
	for _, bad := range []string{version, `"`, `"a`, `"a"b"`, ``, `"a",`, `,"a"`, `"a" "b"`, `*, "a"`, `W/`} {
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
		{"If-Match": `""`}, {"If-Match": `"-raw"`}, {"If-Match": `"%zz"`}, {"If-Match": `"a,b", "` + first + `"`},
		{"If-None-Match": `"a", "` + third + `"`}, {"If-None-Match": `*`, "If-Match": `"` + third + `"`},
	} {
		put("conditions", h, 412, "precondition_failed")
	}
	put("nothing", map[string]string{"If-Match": `*`}, 412, "precondition_failed")
	remove("nothing", `*`, 412, "precondition_failed")
	put("new", map[string]string{"If-None-Match": `"` + first + `"`}, 201, "")
	for _, h := range []map[string]string{
		{"If-Match": `*`}, {"If-Match": `"a" ,"%s"`}, {"If-None-Match": `"a"`}, {"If-None-Match": `"a"`, "If-Match": `"%s"`},
	} {
		for name, value := range h {
			h[name] = strings.ReplaceAll(value, "%s", third)
		}
		third = put("conditions", h, 200, "")
	}
	for _, h := range []map[string]string{
		{"If-Match": third}, {"If-Match": ``}, {"If-None-Match": `*, *`},
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
