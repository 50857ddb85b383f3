package testclients

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/nebula-credential/nebula"
)

// The keyboard alone is enough. The element with the focus shows it. A dialog keeps the
// focus and gives it back.
func TestBrowserKeyboard(t *testing.T) {
	l := serve(t, backends["memory"](t))
	for _, id := range []string{"alpha", "beta", "gamma"} {
		l.put(nebula.ID("key_"+id), "secret of "+id, "env=prod")
	}
	b := openTab(t, startBrowser(t), l.url, desktop)
	b.see("Token")
	b.focused("Token")
	b.write(l.token("page"))
	b.press(kb.Enter)
	b.see("3 credentials")
	b.focused("Search")
	b.tabTo("key_alpha")
	b.press(kb.ArrowDown)
	b.focused("key_beta")
	b.press(kb.End)
	b.focused("key_gamma")
	b.press(kb.Home, kb.ArrowDown, kb.Enter)
	b.see("Modified")
	b.focused("key_beta") // the heading of the details
	b.tabTo("Show the value of key_beta")
	b.press(kb.Enter)
	b.see("secret of beta")
	b.focused("Hide the value of key_beta")
	b.press(" ")
	b.focused("Show the value of key_beta")
	b.tabTo("New value")
	b.press(kb.Enter)
	b.focused("Value")
	b.write("by keyboard")
	b.press(kb.Escape)
	b.see("Your changes are not saved.")
	b.tabTo("Replace")
	b.press(kb.Enter)
	b.see("The value is replaced.")
	if got := l.value("key_beta"); got != "by keyboard" {
		t.Errorf("the value is %q", got)
	}
	b.focused("key_beta")
	b.tabTo("Delete …")
	b.press(kb.Enter)
	b.see("Delete key_beta?")
	b.press(kb.Escape)
	b.focused("Delete …")
	b.press(kb.Escape) // leaves the details
	b.focused("key_beta")
	b.wait(`!document.querySelector(".details").checkVisibility()`)

	// The first stop of the tab key leads past the header.
	eval[bool](b, `document.activeElement.blur(), true`)
	b.do(chromedp.Navigate(l.url))
	b.focused("Token")
	b.write(l.token("again"))
	b.press(kb.Enter)
	b.see("3 credentials")
	eval[bool](b, `document.querySelector(".skip").focus(), true`)
	b.wait(`document.querySelector(".skip").getBoundingClientRect().top >= 0`)
	b.press(kb.Enter)
	b.focused("Search")
}

// named is the name that a screen reader gives the element with the focus.
const named = `((e) => (e.ariaLabel ?? e.labels?.[0]?.textContent ?? e.dataset.id ?? e.textContent).trim())(document.activeElement)`

// focused waits until the named element has the focus, and checks that it shows it.
func (b *tab) focused(name string) {
	b.t.Helper()
	b.wait(named + " === " + quoted(name))
	b.visible()
}

// visible fails the test if the element with the focus does not show it.
func (b *tab) visible() {
	b.t.Helper()
	if !eval[bool](b, `(() => {
		const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
		return e.tagName === "H2" || e.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 &&
			box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
	})()`) {
		b.t.Errorf("%s does not show that it has the focus", eval[string](b, named))
	}
}

// tabTo presses the tab key until the named element has the focus.
func (b *tab) tabTo(name string) {
	b.t.Helper()
	var passed []string
	for range 40 {
		b.press(kb.Tab)
		now := eval[string](b, named)
		if now == name {
			b.visible()
			return
		}
		passed = append(passed, now)
	}
	b.t.Fatalf("the tab key does not lead to %s, but to %s", name, strings.Join(passed, ", "))
}
