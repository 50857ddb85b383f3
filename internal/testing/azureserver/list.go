package azureserver

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// pageJSON is a page of a list. Only a null nextLink means the end.
type pageJSON struct {
	Value    []secretJSON `json:"value"`
	NextLink *string      `json:"nextLink"`
}

// marker is the content of a $skiptoken: the number of pages so far, and their last
// item.
type marker struct {
	Page int    `json:"p"`
	Last string `json:"l"` // its key in the order of the list
}

// item is an entry of a list and its key in the list's order.
type item struct {
	key  string
	json secretJSON
}

func (v *Vault) list(t target, query url.Values) (any, *apiError) {
	size, m, e := readPage(query)
	if e != nil {
		return nil, e
	}
	items := v.items(t)
	after, _ := slices.BinarySearchFunc(items, m.Last, func(i item, last string) int {
		if i.key <= last {
			return -1
		}
		return 1
	})
	items = items[after:]
	if m.Page < len(v.pages) {
		size = min(size, v.pages[m.Page])
	}
	page := pageJSON{Value: []secretJSON{}}
	more := len(items) > size || m.Page < len(v.pages)-1
	for _, i := range items[:min(size, len(items))] {
		page.Value = append(page.Value, i.json)
		m.Last = i.key
	}
	if more {
		m.Page++
		page.NextLink = v.nextLink(t, query, m)
	}
	return page, nil
}

// readPage reads the size of the page and its beginning.
func readPage(query url.Values) (size int, m marker, e *apiError) {
	size = maxPage
	if text := query.Get("maxresults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return 0, m, badParameter("maxresults is to be a number from 1 to %d.", maxPage)
		}
		size = n
	}
	if token := query.Get("$skiptoken"); token != "" {
		data, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || json.Unmarshal(data, &m) != nil {
			return 0, m, badParameter("The $skiptoken is not one of this list.")
		}
	}
	return size, m, nil
}

// nextLink names the port, and repeats maxresults after the token.
func (v *Vault) nextLink(t target, query url.Values, m marker) *string {
	path := map[Operation]string{ListSecrets: "secrets", ListDeleted: "deletedsecrets", ListVersions: "secrets/" + t.name + "/versions"}[t.op]
	data, _ := json.Marshal(m)
	link := "https://" + v.host + ":443/" + path + "?api-version=" + url.QueryEscape(query.Get("api-version")) +
		"&$skiptoken=" + base64.RawURLEncoding.EncodeToString(data)
	if size := query.Get("maxresults"); size != "" {
		link += "&maxresults=" + size
	}
	return &link
}

// items returns all entries of a list in its order: by name in upper case, versions by
// their ids. If the name is not there, the list of its versions is empty.
func (v *Vault) items(t target) []item {
	var items []item
	switch t.op {
	case ListSecrets:
		for _, c := range v.sorted(state.readable) {
			out := v.show(c, c.latest)
			out.ID = v.URL() + "/secrets/" + c.name
			items = append(items, item{strings.ToUpper(c.name), out})
		}
	case ListDeleted:
		for _, c := range v.sorted(func(s state) bool { return s == deleted }) {
			out := v.showDeleted(c)
			out.ID = v.URL() + "/secrets/" + c.name
			items = append(items, item{strings.ToUpper(c.name), out})
		}
	case ListVersions:
		c, s := v.find(t.name)
		if !s.readable() {
			return nil
		}
		for _, n := range c.versions {
			items = append(items, item{n.id, v.show(c, n)})
		}
		slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.key, b.key) })
	}
	return items
}
