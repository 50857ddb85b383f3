package service_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/service"
	"github.com/nebula-credential/nebula/service/token"
)

// Pages come from the list of the first page, for ten seconds and no longer. A first
// page is always listed again.
func TestListsAreKept(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	r, store := memory(t, func(o *service.Options) {
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	for _, id := range []nebula.ID{"a", "b", "c", "d"} {
		store.Set(id, "v")
	}
	page := func(query string) (string, string) {
		all := r.want(ask{method: "GET", path: "/v1/credentials?limit=1" + query}, 200, "").items(t)
		return all.Items[0].ID, all.Next
	}
	_, next := page("")
	calls := store.Calls(provider.OpList)
	store.Set("aa", "v")
	pass(9 * time.Second)
	if id, _ := page("&cursor=" + next); id != "b" || store.Calls(provider.OpList) != calls {
		t.Errorf("%s after %d lists", id, store.Calls(provider.OpList)-calls)
	}
	if id, _ := page("&cursor=" + next + "&details=true"); id != "b" {
		t.Errorf("%s", id)
	}
	narrow := r.token(token.Grant{Name: "narrow", Allow: []token.Verb{token.List}, Prefix: "c"})
	got := r.want(ask{method: "GET", path: "/v1/credentials?cursor=" + next, token: narrow}, 200, "").items(t)
	if len(got.Items) != 1 || got.Items[0].ID != "c" {
		t.Errorf("the list of another token was given: %+v", got)
	}
	pass(time.Second)
	if id, _ := page("&cursor=" + next); id != "aa" {
		t.Errorf("%s after ten seconds", id)
	}
	page("")
	store.Set("0", "v")
	if id, _ := page(""); id != "0" {
		t.Errorf("the first page is %s", id)
	}
}

// If a list cannot be kept, each page lists again, and each page is right.
func TestListsWithoutRoom(t *testing.T) {
	r, store := memory(t)
	r.client = r.server.Client()
	service.KeepEntries(r.server.Config.Handler.(*service.Service), 0)
	const all = 4500
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < all; i += 4 {
				store.Set(nebula.ID(fmt.Sprintf("id-%04d", i)), "v")
			}
		})
	}
	wg.Wait()
	calls := store.Calls(provider.OpList)
	var got []string
	pages, cursor := 0, ""
	for {
		page := r.want(ask{method: "GET", path: "/v1/credentials?limit=900" + cursor}, 200, "").items(t)
		for _, i := range page.Items {
			got = append(got, i.ID)
		}
		pages++
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + page.Next
	}
	if pages != 5 || len(got) != all || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != all || store.Calls(provider.OpList)-calls < pages {
		t.Errorf("%d pages, %d ids, %d lists", pages, len(got), store.Calls(provider.OpList)-calls)
	}
}

// A record that cannot be read is listed with the reason.
func TestListFailures(t *testing.T) {
	store := openLocal(t)
	r := newRig(t, store)
	r.set("a", "v")
	r.set("b", "v")
	dir := strings.TrimPrefix(store.Describe().Address, "file:")
	if err := os.WriteFile(filepath.Join(dir, "b.enc.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := r.want(ask{method: "GET", path: "/v1/credentials?details=true"}, 200, "").items(t).Items
	if len(all) != 2 || all[0].Metadata == nil || all[1].Error == nil || all[1].Error.Kind != "corrupted" || all[1].Error.Status != 500 {
		t.Errorf("%+v", all)
	}
	r.want(ask{method: "GET", path: at("b")}, 500, "corrupted")
	r.want(ask{method: "PUT", path: at("b"), body: "x", header: asBytes()}, 500, "corrupted")
}
