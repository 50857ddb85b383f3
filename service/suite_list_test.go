package service_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

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
		"limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1.0", "limit=", "limit=%2B1", "details=1", "details=", "details=TRUE", "cursor=", "cursor=!", "cursor=YQ==", "cursor=Y",
		"tag=a", "prefix=%C3%A9", "prefix=a.b", "prefix=" + strings.Repeat("x", 129), "unknown=1", "Prefix=a", "prefix=a&prefix=a", "limit=1&limit=1", "tag=%zz", "a;b", "=",
	} {
		s.want(ask{method: "GET", path: "/v1/credentials?" + query}, 400, "usage")
	}
	s.want(ask{method: "GET", path: "/v1/credentials?tag==v"}, 422, "invalid_metadata")
}

// Pages give each id once, in the order of their bytes, even from several instances.
func (s *suite) pages() {
	var want []string
	for i := range 7 {
		id := fmt.Sprintf("page-%d", i)
		s.set(id, "x")
		want = append(want, id)
	}
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
	after := base64.RawURLEncoding.EncodeToString([]byte("page-2x")) // an id that does not exist
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
