package azureserver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// walk follows a list to its end and returns the names on each page.
func (x *tester) walk(t *testing.T, path string) (pages [][]string) {
	t.Helper()
	for path != "" {
		r := x.call(t, http.MethodGet, path, nil)
		if r.status != 200 {
			t.Fatalf("%s: %d %s", path, r.status, r.text)
		}
		page := []string{}
		for _, item := range r.body["value"].([]any) {
			if at(item, "value") != nil {
				t.Errorf("a value in a list: %s", r.text)
			}
			id := at(item, "id").(string)
			page = append(page, id[strings.LastIndexByte(id, '/')+1:])
		}
		pages = append(pages, page)
		next, ok := r.body["nextLink"]
		if !ok {
			t.Fatalf("no nextLink: %s", r.text)
		}
		path, _ = next.(string)
	}
	return pages
}

func sizes(pages [][]string) (all []int) {
	for _, p := range pages {
		all = append(all, len(p))
	}
	return all
}

func TestPages(t *testing.T) {
	x := newTester(t)
	var want []string
	for i := range 60 {
		name := fmt.Sprintf("%c%02d", "aB"[i%2], i)
		want = append(want, name)
		x.Add(Seed{Name: name, Value: "v"})
	}
	slices.SortFunc(want, func(a, b string) int { return strings.Compare(strings.ToUpper(a), strings.ToUpper(b)) })
	for _, c := range []struct {
		query string
		pages []int
		want  []int
	}{
		{"", nil, []int{25, 25, 10}},
		{"?maxresults=20", nil, []int{20, 20, 20}},
		{"", []int{0, 3, 0, 0}, []int{0, 3, 0, 0, 25, 25, 7}},
		{"?maxresults=25", []int{25, 25, 10, 0, 0}, []int{25, 25, 10, 0, 0}},
	} {
		x.SetPages(c.pages...)
		pages := x.walk(t, "/secrets"+c.query)
		if got := sizes(pages); !slices.Equal(got, c.want) {
			t.Errorf("%s %v: pages of %v, not %v", c.query, c.pages, got, c.want)
		}
		if got := slices.Concat(pages...); !slices.Equal(got, want) {
			t.Errorf("%s %v: %v", c.query, c.pages, got)
		}
	}
	for _, query := range []string{"maxresults=0", "maxresults=26", "maxresults=x", "$skiptoken=x"} {
		if r := x.call(t, http.MethodGet, "/secrets?"+query, nil); r.code() != "BadParameter" {
			t.Errorf("%s: %d %s", query, r.status, r.text)
		}
	}
}

// A write and a deletion between two pages shift nothing.
func TestPagesWhileItChanges(t *testing.T) {
	x := newTester(t)
	for _, name := range []string{"b", "d", "f"} {
		x.Add(Seed{Name: name, Value: "v"})
	}
	first := x.call(t, http.MethodGet, "/secrets?maxresults=2", nil)
	x.Add(Seed{Name: "a", Value: "v"})
	x.Add(Seed{Name: "E", Value: "v"})
	x.call(t, http.MethodDelete, "/secrets/b", nil)
	rest := slices.Concat(x.walk(t, first.body["nextLink"].(string))...)
	if !slices.Equal(rest, []string{"E", "f"}) {
		t.Errorf("after b and d: %v", rest)
	}
}

func TestVersionsAreListedByID(t *testing.T) {
	x := newTester(t)
	for range 30 {
		x.call(t, http.MethodPut, "/secrets/n", map[string]any{"value": "v"})
	}
	pages := x.walk(t, "/secrets/n/versions")
	if ids := slices.Concat(pages...); !slices.IsSorted(ids) || len(ids) != 30 || !slices.Equal(sizes(pages), []int{25, 5}) {
		t.Errorf("%v", pages)
	}
}
