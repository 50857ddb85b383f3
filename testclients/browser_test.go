package testclients

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a tab may take for one step. The machine may be busy.
const patience = 60 * time.Second

// startBrowser starts Chromium with a new profile, and returns the context that opens
// tabs. Without Chromium the test is skipped.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		report := t.Skip
		if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
			report = t.Fatal
		}
		report("there is no Chromium (Debian: apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(patience), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	return ctx
}

// tab is a tab that has the page open. A message on its console, of a violation of the
// policy for example, fails the test.
type tab struct {
	t       *testing.T
	ctx     context.Context
	console *console
}

// console gets the messages of a tab's console.
type console struct {
	t        *testing.T
	mu       sync.Mutex
	expected []string // parts of messages that do not fail the test
	messages int
}

type screen struct {
	width, height int64
	scheme        string
}

var desktop = screen{1280, 800, "light"}

// faster makes the page's timers and its clock run so many times as fast.
func faster(times int) string {
	return fmt.Sprintf(`(() => {
		const times = %d, start = Date.now(), now = Date.now.bind(Date), real = { setTimeout, setInterval };
		Date.now = () => start + (now() - start) * times;
		for (const name of ["setTimeout", "setInterval"]) window[name] = (f, wait, ...rest) => real[name].call(window, f, wait / times, ...rest);
	})()`, times)
}

// pending counts the calls that the page waits for. An answer may move the button that a
// test is about to click.
const pending = `(() => {
	const real = window.fetch, later = window.setTimeout;
	window.pending = 0;
	window.fetch = async (...all) => {
		window.pending++;
		try { return await real(...all) } finally { later(() => { window.pending-- }, 50) }
	};
})()`

// openTab opens the page at url on a screen. The scripts run before those of the page.
func openTab(t *testing.T, parent context.Context, url string, s screen, scripts ...string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	b := &tab{t: t, ctx: ctx, console: &console{t: t}}
	messages := chromedp.Console(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return
			}
			b.console.heard(m.String())
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	for _, permission := range []string{"clipboard-read", "clipboard-write"} {
		if _, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{Permission: &browser.PermissionDescriptor{Name: permission},
			Setting: browser.PermissionSettingGranted, Origin: strings.TrimSuffix(url, "/"), BrowserContextID: chromedp.FromContext(ctx).BrowserContextID}); err != nil {
			t.Fatal(err)
		}
	}
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height, DeviceScaleFactor: 1, Mobile: s.width < 600})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}})
	for _, script := range append(scripts, pending) {
		call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	}
	b.do(chromedp.Navigate(url))
	return b
}

// count returns the number of messages, expected or not.
func (c *console) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.messages
}

// in returns the tab for a part of a test.
func (b *tab) in(t *testing.T) *tab { return &tab{t: t, ctx: b.ctx, console: b.console} }

// heard gets a message of the console.
func (c *console) heard(message string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages++
	for _, part := range c.expected {
		if strings.Contains(message, part) {
			return
		}
	}
	c.t.Errorf("on the console: %s", message)
}

// expect names messages that do not fail the test: browsers log each answer that is an
// error.
func (b *tab) expect(parts ...string) {
	b.console.mu.Lock()
	defer b.console.mu.Unlock()
	b.console.expected = append(b.console.expected, parts...)
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.shown())
	}
}

// call makes a call of the protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// eval returns the value of an expression. It waits for a promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// wait waits until a condition holds. While a page loads, none holds.
func (b *tab) wait(condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
		if err == nil && holds {
			return
		}
		if ctx.Err() != nil {
			b.t.Fatalf("waited in vain for: %s (%v)\nThe page shows:\n%s", condition, err, b.shown())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// top is the part of the page that can be used: the dialog, if there is one.
const top = `([...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body)`

// shown returns the visible text.
func (b *tab) shown() string {
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](top+".innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// see waits until a text is visible.
func (b *tab) see(text string) {
	b.t.Helper()
	b.wait(top + ".innerText.includes(" + quoted(text) + ")")
}

// unseen waits until no part of the page holds a text, visible or not.
func (b *tab) unseen(text string) {
	b.t.Helper()
	b.wait("!document.documentElement.textContent.includes(" + quoted(text) + ") && ![...document.querySelectorAll('input,textarea')].some((e) => e.value.includes(" + quoted(text) + "))")
}

func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// byName finds the button, or the row of the list, with that name.
func byName(name string) string {
	return `[...` + top + `.querySelectorAll("button, [role=option]")].find((e) => e.checkVisibility() && !e.disabled &&
		(e.ariaLabel ?? e.dataset.id ?? e.textContent).trim() === ` + quoted(name) + `)`
}

// byLabel finds the first field with that label. byLabelAt finds any of them.
func byLabel(label string) string { return byLabelAt(label, 0) }

func byLabelAt(label string, at int) string {
	return `[...` + top + `.querySelectorAll("input, textarea")].filter((e) => e.checkVisibility() &&
		(e.ariaLabel ?? e.labels?.[0]?.textContent ?? "").trim() === ` + quoted(label) + `)[` + strconv.Itoa(at) + `]`
}

// click clicks when the page has not waited for anything for a moment.
func (b *tab) click(name string) {
	b.t.Helper()
	for range 2 {
		b.wait("!window.pending && " + byName(name))
		time.Sleep(30 * time.Millisecond)
	}
	b.clickNow(name)
}

// clickNow clicks, and tries again if the page has removed the button meanwhile.
func (b *tab) clickNow(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		b.wait(byName(name))
		err := chromedp.Do(ctx, chromedp.Click(chromedp.JSPath(byName(name))))
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			b.t.Fatalf("%s cannot be clicked: %v\n%s", name, err, b.shown())
		}
	}
}

// fill replaces the text of a field.
func (b *tab) fill(label, text string) {
	b.t.Helper()
	b.wait(byLabel(label))
	eval[bool](b, byLabel(label)+".focus(), "+byLabel(label)+".select(), true")
	b.write(text)
}

// upload chooses files in a field.
func (b *tab) upload(label string, files ...string) {
	b.t.Helper()
	b.wait(byLabel(label))
	b.do(chromedp.SetUploadFiles(chromedp.JSPath(byLabel(label)), files))
}

// write types where the focus is.
func (b *tab) write(text string) {
	b.t.Helper()
	if text == "" {
		b.press(kb.Delete)
		return
	}
	call(b, input.InsertText, input.InsertTextParams{Text: text})
}

func (b *tab) press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.do(chromedp.KeyEvent(key))
	}
}

// signIn opens the store with a token.
func (b *tab) signIn(token string) {
	b.t.Helper()
	b.fill("Token", token)
	b.click("Open")
	b.wait("document.querySelector('#rows')?.checkVisibility() || document.querySelector('.empty, .below .problem')")
}

// picture returns what the screen shows, as PNG.
func (b *tab) picture() []byte {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}
