package testclients

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service/token"
)

const binary = "\xff\x00\xfe\x80"

// TestBrowserFlow does what people do with the page, from the first token to the last
// purge, on each kind of backend.
func TestBrowserFlow(t *testing.T) {
	parent := startBrowser(t)
	for name, open := range backends {
		t.Run(name, func(t *testing.T) {
			l := serve(t, open(t))
			l.put("db_password", "hunter2", "env=prod", "team=payments")
			l.put("db_replica", "x", "env=stage")
			l.put("session_key", binary, "env=prod")
			b := openTab(t, parent, l.url, desktop)
			t.Run("token", func(t *testing.T) { signsIn(b.in(t), l) })
			t.Run("list", func(t *testing.T) { findsCredentials(b.in(t), name) })
			t.Run("value", func(t *testing.T) { readsValues(b.in(t), l) })
			t.Run("bytes", func(t *testing.T) { readsBytes(b.in(t), l) })
			t.Run("put", func(t *testing.T) { stores(b.in(t), l) })
			t.Run("tags", func(t *testing.T) { tags(b.in(t), l) })
			t.Run("delete", func(t *testing.T) { deletes(b.in(t), l, name == "memory") })
		})
	}
}

// If a token is refused, the page says so, and what to do.
func signsIn(b *tab, l *live) {
	b.expect("status of 401")
	b.see("Kept in the memory of this tab only")
	b.fill("Token", "nbt_"+strings.Repeat("x", 49))
	b.click("Open")
	b.see("nebula serve token add")
	b.see("status 401")
	if got := l.asked("GET", "/v1/credentials"); len(got) != 0 {
		b.t.Errorf("the list was asked for %d times without a token", len(got))
	}
	b.signIn(l.token("page"))
}

func findsCredentials(b *tab, backend string) {
	b.see("3 credentials")
	if backend == "local" { // it lists only names
		b.click("db_replica")
		b.see("Modified")
		b.click("Close the details")
		b.click("Read tags and times")
	}
	b.wait(`document.querySelector("[data-id=db_password]").innerText.includes("env=prod")`)
	b.see("just now")
	b.fill("Search", "REPL")
	b.see("1 of 3 credentials")
	b.fill("Search", "team=pay")
	b.wait(`document.querySelectorAll("[role=option]").length === 1 && document.querySelector("[data-id=db_password]")`)
	b.fill("Search", "")
	b.fill("Prefix", "db_")
	b.see("2 credentials")
	b.fill("Tag", "env=prod")
	b.press("\r")
	b.see("1 credential")
	b.wait(`document.querySelector("[data-id=db_password]")`)
	b.click("Remove the filter env=prod")
	b.fill("Prefix", "")
	b.see("3 credentials")
}

// The page fetches a value when the user asks for it, and not before.
func readsValues(b *tab, l *live) {
	const path = "/v1/credentials/db_password"
	b.click("db_password")
	b.see("Modified")
	b.see("team=payments")
	if got := l.asked("GET", path); len(got) != 0 {
		b.t.Fatalf("the value was fetched %d times for the details", len(got))
	}
	b.click("Copy the value of db_password")
	b.see("Copied. It stays in the clipboard")
	if got := eval[string](b, "navigator.clipboard.readText()"); got != "hunter2" {
		b.t.Errorf("the clipboard holds %q", got)
	}
	b.unseen("hunter2")
	b.click("Show the value of db_password")
	b.see("hunter2")
	b.see("hidden in ")
	b.click("Hide the value of db_password")
	b.unseen("hunter2")
	if got := l.asked("GET", path); len(got) != 2 {
		b.t.Errorf("the value was fetched %d times, for one copy and one look", len(got))
	}
	b.click("Close the details")
}

func readsBytes(b *tab, l *live) {
	dir := b.t.TempDir()
	if _, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow,
		DownloadPath: dir, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID}); err != nil {
		b.t.Fatal(err)
	}
	b.click("session_key")
	b.click("Show the value of session_key")
	b.see(base64.StdEncoding.EncodeToString([]byte(binary)))
	b.see("Not text: its bytes as base64")
	b.click("Save the value of session_key as a file")
	b.see("Saved in clear")
	file := filepath.Join(dir, "session_key")
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if text, err := os.ReadFile(file); err == nil && string(text) == binary {
			break
		}
		if time.Now().After(end) {
			text, err := os.ReadFile(file)
			b.t.Fatalf("the file holds %q (%v)", text, err)
		}
	}
	b.click("Close the details")
}

func stores(b *tab, l *live) {
	b.expect("status of 412")
	b.click("New credential")
	b.fill("Id", "db_password")
	b.fill("Value", "first\nsecond")
	b.click("Add a tag")
	b.fill("Key", "env")

	eval[bool](b, byLabelAt("Value", 1)+".focus(), true")
	b.write("dev")
	b.fill("Rotate every … days", "30")
	b.click("Store")
	b.see("already_exists")
	if got := l.value("db_password"); got != "hunter2" {
		b.t.Fatalf("it was overwritten with %q", got)
	}
	b.fill("Id", "new_one")
	b.click("Store")
	b.see("new_one is stored.")
	b.see("every 30 days")
	c, err := l.store.Get(context.Background(), "new_one")
	if err != nil {
		b.t.Fatal(err)
	}
	if got := string(c.Secret.Reveal()); got != "first\nsecond" || c.Metadata.Tags["env"] != "dev" || c.Metadata.RotationPolicy.IntervalDays != 30 || c.Metadata.CreatedBy != "page" {
		b.t.Errorf("the value is %q, the metadata %+v", got, c.Metadata)
	}
	b.click("Show the value of new_one")
	b.see("second")
	b.click("New value")
	b.fill("Value", "third")
	b.click("Replace")
	b.see("The value is replaced.")
	b.unseen("second")
	if got := l.value("new_one"); got != "third" {
		b.t.Errorf("the value is %q", got)
	}
	put := l.asked("PUT", "/v1/credentials/new_one")
	if len(put) != 2 || put[0].header.Get("If-None-Match") != "*" || put[1].header.Get("If-Match") != fmt.Sprintf("%q", c.Version) {
		b.t.Errorf("it was put with the headers %v", put)
	}
	file := filepath.Join(b.t.TempDir(), "bytes")
	if err := os.WriteFile(file, []byte(binary), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.click("New value")
	b.upload("or the bytes of a file", file)
	b.click("Replace")
	b.wait(`!document.querySelector("dialog")`)
	if got := l.value("new_one"); got != binary {
		b.t.Errorf("the value is %q, not the file's", got)
	}
	b.see("every 30 days") // a new value does not change that
}

func tags(b *tab, l *live) {
	b.click("Edit tags")
	b.click("Remove this tag")
	b.click("Add a tag")
	b.fill("Key", "owner")
	b.fill("Value", "me = you")
	b.click("Save")
	b.see("The tags are saved.")
	b.see("owner=me = you")
	c, err := l.store.Get(context.Background(), "new_one")
	if err != nil {
		b.t.Fatal(err)
	}
	if len(c.Metadata.Tags) != 1 || c.Metadata.Tags["owner"] != "me = you" {
		b.t.Errorf("the tags are %v", c.Metadata.Tags)
	}
}

// deletes deletes a credential. If the backend keeps deleted credentials, the page also
// offers to restore and to purge it.
func deletes(b *tab, l *live, keeps bool) {
	has := func(button string) bool { return eval[bool](b, "Boolean("+byName(button)+")") }
	if has("Purge …") != keeps || has("List versions") != keeps {
		b.t.Errorf("the backend keeps versions: %t, the page offers purging: %t, versions: %t", keeps, has("Purge …"), has("List versions"))
	}
	if keeps {
		b.click("List versions")
		b.see("current")
		version := eval[string](b, `[...document.querySelectorAll(".versions .mono")].at(-1).textContent`)
		b.click("Show the value of version " + version + " of new_one")
		b.see("second")
	}
	b.click("Delete …")
	if keeps {
		b.see("It can be restored")
	} else {
		b.see("cannot restore it")
	}
	b.click("Delete")
	b.see("or it is deleted")
	if has("Restore") != keeps {
		b.t.Errorf("the page offers restoring: %t", has("Restore"))
	}
	if got := l.value("new_one"); got != "" {
		b.t.Fatalf("after the deletion the value is %q", got)
	}
	if !keeps {
		b.click("Close the details")
		return
	}
	// Its id finds it later, too, even if another id is similar.
	l.put("new_one_2", "x")
	b.click("Close the details")
	b.fill("Prefix", "new_")
	b.fill("Search", "new_one")
	b.see("1 of 1 credential")
	b.click("Open new_one, which may be deleted")
	b.click("Restore")
	b.see("new_one is restored.")
	b.fill("Search", "")
	if got := l.value("new_one"); got != binary {
		b.t.Fatalf("the restored value is %q", got)
	}
	b.click("Purge …")
	b.fill("Type the id again", "new_on")
	b.click("Purge for good")
	b.see("That is not the id.")
	if got := len(l.asked("POST", "/v1/credentials/new_one/purge")); got != 0 {
		b.t.Fatalf("it was purged %d times with another id", got)
	}
	b.fill("Type the id again", "new_one")
	b.click("Purge for good")
	b.see("new_one is purged.")
	if err := l.store.Restore(context.Background(), "new_one"); nebula.KindOf(err) != nebula.ErrNotFound {
		b.t.Errorf("after the purge, restoring gives %v", err)
	}
	b.click("Close the details")
	b.wait(`!document.querySelector("[data-id=new_one]")`)
}

// A value disappears after 30 seconds, and when the tab is hidden.
func TestBrowserHidesValues(t *testing.T) {
	l := serve(t, backends["memory"](t))
	l.put("db_password", "hunter2")
	b := openTab(t, startBrowser(t), l.url, desktop, faster(20))
	b.signIn(l.token("page"))
	b.click("db_password")
	b.click("Show the value of db_password")
	b.see("hunter2")
	from := eval[float64](b, "Date.now()")
	b.unseen("hunter2")
	if took := eval[float64](b, "Date.now()") - from; took < 20_000 || took > 300_000 {
		t.Errorf("the value was hidden after %.0f ms", took)
	}
	b.click("Show the value of db_password")
	b.see("hunter2")
	eval[bool](b, `Object.defineProperty(document, "hidden", { value: true, configurable: true }), document.dispatchEvent(new Event("visibilitychange"))`)
	b.unseen("hunter2")
}

// Only the memory of the tab holds the token. The page forgets it on demand, and if nobody
// uses it for some time.
func TestBrowserForgets(t *testing.T) {
	l := serve(t, backends["memory"](t))
	l.put("db_password", "hunter2")
	secret := l.token("page")
	parent := startBrowser(t)
	b := openTab(t, parent, l.url, desktop)
	b.signIn(secret)
	b.click("db_password")
	b.click("Show the value of db_password")
	b.see("hunter2")
	b.unseen(secret)
	kept := eval[[]string](b, `(async () => [document.cookie, ...Object.keys(localStorage), ...Object.keys(sessionStorage),
		...(await indexedDB.databases()).map((d) => d.name), ...await caches.keys(), location.hash, location.search,
		...(await navigator.serviceWorker.getRegistrations()).map((r) => r.scope)].filter(Boolean))()`)
	if len(kept) != 0 {
		t.Errorf("the browser keeps %q", kept)
	}
	b.click("Forget token")
	b.see("Open this store")
	b.unseen("hunter2")
	b.unseen("db_password")
	if got := l.asked("GET", "/"); len(got) != 2 || got[1].header.Get("Cookie") != "" {
		t.Errorf("the page was loaded with %v", got)
	}
	c := openTab(t, parent, l.url, desktop, faster(400))
	c.signIn(secret)
	c.see("db_password")
	c.see("Open this store")
}

// The list is read in pages of 1,000. A search goes through all of them.
func TestBrowserPages(t *testing.T) {
	l := serve(t, backends["memory"](t))
	for i := range 2500 {
		l.put(nebula.ID(fmt.Sprintf("svc_%04d", i)), "x")
	}
	b := openTab(t, startBrowser(t), l.url, desktop)
	b.signIn(l.token("page"))
	b.see("1,000 credentials read, more are in the store")
	b.click("Read the next 1,000")
	b.see("2,000 credentials read, more are in the store")
	b.fill("Search", "2499")
	b.see("1 of 2,500 credentials")
	b.click("svc_2499")
	b.see("Modified")
	b.click("Close the details")
	b.fill("Search", "svc_")
	b.see("2,500 of 2,500 credentials")
	if rows := eval[int](b, `document.querySelectorAll("[role=option]").length`); rows != 1000 {
		t.Errorf("%d rows are shown", rows)
	}
	b.click("Show 1,000 more")
	b.wait(`document.querySelectorAll("[role=option]").length === 2000`)
}

// The page does not offer what a token may not do, or says so. The rest works.
func TestBrowserRights(t *testing.T) {
	l := serve(t, backends["memory"](t))
	l.put("db_password", "hunter2")
	b := openTab(t, startBrowser(t), l.url, desktop)
	b.expect("status of 403")
	b.signIn(l.token("reader", token.Read))
	b.see("status 403")
	b.fill("Search", "db_password")
	b.click("Open db_password, which may be deleted")
	b.click("Show the value of db_password")
	b.see("hunter2")
	for _, button := range []string{"New credential", "New value", "Edit tags", "Delete …", "Purge …"} {
		if eval[bool](b, "Boolean("+byName(button)+"?.checkVisibility())") {
			t.Errorf("there is a button %q", button)
		}
	}

	// Each verb has its own buttons.
	b = openTab(t, startBrowser(t), l.url, desktop)
	b.signIn(l.token("writer", token.List, token.Write))
	b.see("db_password")
	b.click("db_password")
	b.see("This token does not read values.")
	b.see("New value")
	for _, button := range []string{"List versions", "Delete …", "Purge …"} {
		if eval[bool](b, "Boolean("+byName(button)+")") {
			t.Errorf("there is a button %q", button)
		}
	}
	b.click("New value")
	b.fill("Value", "other")
	b.click("Replace")
	b.see("The value is replaced.")
	if got := l.value("db_password"); got != "other" {
		t.Errorf("the value is %q", got)
	}
}
