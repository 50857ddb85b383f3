package service_test

import (
	"maps"
	"strings"
)

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
	s.want(ask{method: "PUT", path: at("deleted"), body: "again", header: asBytes()}, 201, "") // a deleted credential does not exist
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
