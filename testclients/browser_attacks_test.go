package testclients

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

const hostile = `<img src=x onerror=hacked=1>`

// The page shows the content of a store, and of an error, as text, never as markup.
func TestBrowserHostileText(t *testing.T) {
	l := serve(t, backends["memory"](t))
	l.put("db_password", hostile+`<script>hacked=1</script>`, hostile+"a="+hostile, `"><svg onload=hacked=1>=javascript:hacked=1`)
	b := openTab(t, startBrowser(t), l.url, desktop)
	b.expect("status of 500", "status of 404")
	b.signIn(l.token("page"))
	b.see(hostile)
	b.click("db_password")
	b.see(`"><svg onload=hacked=1>=javascript:hacked=1`)
	b.click("Show the value of db_password")
	b.see("<script>hacked=1</script>")
	b.click("Edit tags")
	b.wait(byLabel("Key") + ".value.includes('<svg')")
	b.click("Cancel")

	// Our service does not answer like this.
	l.answer(func(w http.ResponseWriter, r *http.Request) {
		problem := `{"type":"about:blank","title":"` + hostile + `","status":500,"detail":"detail ` + hostile + `","hint":"hint ` + hostile + `","kind":"kind ` + hostile + `","request_id":"` + hostile + `"}`
		switch {
		case r.URL.Path == "/v1/credentials" && r.URL.Query().Get("limit") == "1000":
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"items":[{"id":"` + hostile + `","version":"` + hostile + `","metadata":{"created_at":"` + hostile + `","last_modified":"` + hostile +
				`","created_by":"` + hostile + `","scope":"` + hostile + `","tags":{"` + hostile + `":"` + hostile + `"}}},{"id":"broken","error":` + problem + `}]}`))
		case strings.HasPrefix(r.URL.Path, "/v1/"):
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(problem))
		}
	})
	b.fill("Prefix", "x")
	b.click(hostile)
	b.see("Detail " + hostile)
	b.see("hint " + hostile)
	b.see("kind " + hostile)
	b.click("Show the value of " + hostile)
	b.click("List versions")
	b.wait(`document.querySelectorAll(".details .problem").length === 3`)
	b.click("broken")
	b.wait(`document.querySelector(".details h2").textContent === "broken" && document.querySelectorAll(".details .problem").length === 2`)
	if eval[bool](b, `"hacked" in window || document.images.length > 1 || document.querySelectorAll("svg, script:not([src])").length > 0`) {
		t.Errorf("text became markup:\n%s", eval[string](b, "document.documentElement.outerHTML"))
	}
}

// The browser enforces the policy of the page, and the tests notice each violation. Neither
// the page nor anything put into it can make markup, run a string as a script, or call
// another server.
func TestBrowserPolicy(t *testing.T) {
	l := serve(t, backends["memory"](t))
	elsewhere := serve(t, backends["memory"](t))
	b := openTab(t, startBrowser(t), l.url, desktop)
	b.see("Token")
	b.expect("Content Security Policy", "TrustedHTML", "Trusted Type", "TrustedScript")
	for what, attempt := range map[string]string{
		"markup":              `document.body.innerHTML = "<b>x</b>"; return true`,
		"a script of a text":  `const s = document.createElement("script"); s.textContent = "hacked = 1"; document.body.append(s); return "hacked" in window`,
		"a listener of text":  `document.body.setAttribute("onclick", "hacked = 1"); document.body.click(); return "hacked" in window`,
		"a style of its own":  `const s = document.createElement("style"); s.textContent = "h1 { color: rgb(1, 2, 3) }"; document.head.append(s); return getComputedStyle(document.querySelector("h1")).color === "rgb(1, 2, 3)"`,
		"a call elsewhere":    `return fetch("` + elsewhere.url + `healthz", { mode: "no-cors" }).then(() => true)`,
		"a picture elsewhere": `return new Promise((done) => { const i = new Image(); i.onload = () => done(true); i.onerror = () => done(false); i.src = "` + elsewhere.url + `page/icon.svg" })`,
		"a frame":             `const f = document.createElement("iframe"); f.src = "/"; document.body.append(f); return new Promise((done) => setTimeout(() => done(Boolean(f.contentDocument?.querySelector("h1"))), 500))`,
		"a base elsewhere":    `const e = document.createElement("base"); e.href = "` + elsewhere.url + `"; document.head.prepend(e); return document.baseURI !== location.href`,
	} {
		// The policy forbids eval, so the attempts are functions.
		if eval[bool](b, `(async () => { try { return Boolean(await (async () => { `+attempt+` })()) } catch { return false } })()`) {
			t.Errorf("the page could make %s", what)
		}
	}
	if got := elsewhere.asked("GET", "/healthz"); len(got) > 0 {
		t.Errorf("another service was called %d times", len(got))
	}
	if b.console.count() == 0 {
		t.Error("no violation was noticed: then the other tests prove nothing about the policy")
	}
}

// If the token ends while somebody works, the value disappears from the screen and the
// typed text stays. With another token the work goes on.
func TestBrowserTokenEnds(t *testing.T) {
	l := serve(t, backends["memory"](t))
	l.put("db_password", "hunter2")
	b := openTab(t, startBrowser(t), l.url, desktop)
	b.expect("status of 401")
	b.signIn(l.token("first"))
	b.click("db_password")
	b.click("Show the value of db_password")
	b.see("hunter2")
	b.click("New value")
	b.fill("Value", "correct horse")
	if err := l.tokens.Remove(context.Background(), "first"); err != nil {
		t.Fatal(err)
	}
	b.click("Replace")
	b.see("Another token is needed")
	b.see("status 401")
	b.unseen("hunter2")
	if got := l.value("db_password"); got != "hunter2" {
		t.Fatalf("without a token %q was stored", got)
	}
	b.fill("Token", l.token("second"))
	b.click("Open")
	b.see("The value is replaced.")
	if got := l.value("db_password"); got != "correct horse" {
		t.Errorf("the value is %q", got)
	}
}

// If two people write at once, the second one is told, loses no typed text, and decides.
func TestBrowserTwoTabs(t *testing.T) {
	l := serve(t, backends["memory"](t))
	l.put("db_password", "old", "env=prod")
	parent := startBrowser(t)
	secret := l.token("page")
	var tabs []*tab
	for range 2 {
		b := openTab(t, parent, l.url, desktop)
		b.expect("status of 412")
		b.signIn(secret)
		b.click("db_password")
		b.see("Modified")
		b.wait(`!document.querySelector(".details").innerText.includes("Reading")`)
		b.click("New value")
		tabs = append(tabs, b)
	}
	first, second := tabs[0], tabs[1]
	first.fill("Value", "from the first")
	second.fill("Value", "from the second")
	first.click("Replace")
	first.see("The value is replaced.")
	second.click("Replace")
	second.see("status 412")
	if got := l.value("db_password"); got != "from the first" {
		t.Fatalf("the value is %q", got)
	}
	if got := eval[string](second, byLabel("Value")+".value"); got != "from the second" {
		t.Errorf("the typed text is now %q", got)
	}
	second.click("Write over it all the same")
	second.see("The value is replaced.")
	if got := l.value("db_password"); got != "from the second" {
		t.Errorf("the value is %q", got)
	}

	// The first tab still knows the version that it wrote.
	first.click("Delete …")
	first.click("Delete")
	first.see("status 412")
	if got := l.value("db_password"); got != "from the second" {
		t.Fatalf("the value is %q", got)
	}
	// Anyone who leaves the dialog sees the current state, and can then decide.
	first.see("Somebody has changed it since you opened it.")
	first.click("Cancel")
	first.wait(`!document.querySelector("dialog") && document.querySelector(".details h2") === document.activeElement`)
	first.click("Delete …")
	first.click("Delete")
	first.see("or it is deleted")
	second.click("New credential")
	second.fill("Id", "db_password")
	second.fill("Value", "anew")
	second.click("Store")
	second.see("db_password is stored.")
	first.click("New credential")
	first.fill("Id", "db_password")
	first.fill("Value", "anew, too")
	first.click("Store")
	first.see("status 412")
	if got := l.value("db_password"); got != "anew" {
		t.Errorf("the value is %q", got)
	}
}

// The page does not offer what the backend cannot do, and sends no condition to one that
// cannot compare versions.
func TestBrowserLacks(t *testing.T) {
	l := serve(t, backends["memory"](t))
	l.put("db_password", "old")
	l.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/store" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"provider":"azure","limits":{"record_bytes":100,"batch_ids":100,"list_items":1000},"abilities":{"conditions":false,"restore":false,"purge":false,"versions":false},"token":{"name":"page","allow":["list","read","write","delete","admin"]}}`))
		}
	})
	b := openTab(t, startBrowser(t), l.url, desktop)
	b.signIn(l.token("page"))
	b.see("azure store")
	b.click("db_password")
	b.see("Modified")
	for _, button := range []string{"Purge …", "List versions", "Restore"} {
		if eval[bool](b, "Boolean("+byName(button)+")") {
			t.Errorf("there is a button %q", button)
		}
	}
	b.click("New value")
	b.see("This backend cannot compare versions")
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, make([]byte, 101), 0o600); err != nil {
		t.Fatal(err)
	}
	b.upload("or the bytes of a file", file)
	b.click("Replace")
	b.see("The value has 101 bytes; a record of this store has at most 100.")
	b.fill("Value", "new") // instead of the file
	b.click("Replace")
	b.see("The value is replaced.")
	b.click("Delete …")
	b.see("it is gone for good")
	b.see("This backend cannot compare versions")
	b.click("Delete")
	b.see("or it is deleted")
	b.click("New credential")
	b.fill("Id", "db_password")
	b.fill("Value", "again")
	b.click("Store")
	b.see("db_password is stored.")
	for _, method := range []string{"PUT", "DELETE"} {
		for _, r := range l.asked(method, "/v1/credentials/db_password") {
			if r.header.Get("If-Match")+r.header.Get("If-None-Match") != "" {
				t.Errorf("%s with the conditions %q, %q", method, r.header.Get("If-Match"), r.header.Get("If-None-Match"))
			}
		}
	}
}

// If the backend or the service does not answer, the page says so and can try again.
func TestBrowserOutage(t *testing.T) {
	l := serve(t, backends["memory"](t))
	l.put("db_password", "old")
	b := openTab(t, startBrowser(t), l.url, desktop)
	b.expect("status of 503", "ERR_")
	b.signIn(l.token("page"))
	b.see("1 credential")
	l.answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the backend does not answer","kind":"unavailable","request_id":"0123456789abcdef"}`))
	})
	b.fill("Prefix", "db_")
	b.see("The backend does not answer")
	b.see("request 0123456789abcdef")
	l.answer(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	b.click("Try again")
	b.see("The service does not answer.")
	l.answer(nil)
	b.click("Try again")
	b.see("1 credential")
}

// Anyone who goes on at once, before the page has read the credential again, gets no
// warning of their own change.
func TestBrowserGoesOn(t *testing.T) {
	l := serve(t, backends["memory"](t))
	l.put("db_password", "first")
	b := openTab(t, startBrowser(t), l.url, desktop)
	b.signIn(l.token("page"))
	b.click("db_password")
	b.see("Modified")
	wait := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(wait) })
	t.Cleanup(goOn)
	l.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/credentials" {
			<-wait
		}
	})
	for _, value := range []string{"second", "third"} {
		b.clickNow("New value")
		b.fill("Value", value)
		b.clickNow("Replace")
		b.wait(`!document.querySelector("dialog")`)
	}
	goOn()
	if got := l.value("db_password"); got != "third" {
		t.Errorf("the value is %q", got)
	}
	b.see("The value is replaced.")
}

// The dialog stays open during a write, which may be done already.
func TestBrowserUnderWay(t *testing.T) {
	l := serve(t, backends["memory"](t))
	l.put("db_password", "first")
	b := openTab(t, startBrowser(t), l.url, desktop)
	b.signIn(l.token("page"))
	b.click("db_password")
	b.click("New value")
	wait := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(wait) })
	t.Cleanup(goOn)
	l.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			<-wait
		}
	})
	b.fill("Value", "second")
	b.clickNow("Replace")
	b.clickNow("Replace")
	b.press(kb.Escape)
	b.see("It is under way.")
	goOn()
	b.see("The value is replaced.")
	if got := l.asked("PUT", "/v1/credentials/db_password"); len(got) != 1 || l.value("db_password") != "second" {
		t.Errorf("it was put %d times, and the value is %q", len(got), l.value("db_password"))
	}
}
