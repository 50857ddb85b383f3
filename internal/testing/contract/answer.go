package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
)

const problemType = "application/problem+json"

// Answer returns an error if the document does not describe this answer to the request.
// It reads both bodies, which can be read again.
func (c *Contract) Answer(r *http.Request, a *http.Response) error {
	body, err := readBody(&a.Body)
	if err != nil {
		return err
	}
	again := func() { a.Body = io.NopCloser(bytes.NewReader(body)) }
	again()
	defer again()
	if err := checkEvery(a, body); err != nil {
		return err
	}
	if a.StatusCode >= 400 && r.Method != http.MethodHead && !isPlain(a) {
		if err := c.problem(a, body); err != nil {
			return err
		}
	}
	item, path := c.find(r)
	if item == nil {
		return refusal(a.StatusCode, http.StatusNotFound, "there is no path "+path)
	}
	if operation(item, r.Method) == nil {
		return c.undeclared(path, r, a)
	}
	if (a.StatusCode == http.StatusNoContent || a.StatusCode == http.StatusNotModified || r.Method == http.MethodHead) && len(body) > 0 {
		return fmt.Errorf("there is a body of %d bytes where there is none", len(body))
	}
	if ok, found := c.validator.ValidateHttpResponse(r, a); !ok {
		return joined(found)
	}
	return nil
}

// checkEvery checks what holds for all answers.
func checkEvery(a *http.Response, body []byte) error {
	for _, want := range []struct{ name, value string }{{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}} {
		if got := a.Header.Values(want.name); len(got) != 1 || got[0] != want.value {
			if isPlain(a) { // the answer of net/http itself
				continue
			}
			return fmt.Errorf("%s is %q", want.name, got)
		}
	}
	if len(body) > 0 && a.Header.Get("Content-Type") == "" {
		return fmt.Errorf("a body has no Content-Type")
	}
	return nil
}

// isPlain reports whether net/http refused the request, so that the service did not see
// it.
func isPlain(a *http.Response) bool {
	return slices.Contains([]int{400, 431}, a.StatusCode) && strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain")
}

// problem checks what a schema cannot say.
func (c *Contract) problem(a *http.Response, body []byte) error {
	if t, _, err := mime.ParseMediaType(a.Header.Get("Content-Type")); err != nil || t != problemType {
		return fmt.Errorf("a failure comes as %q", a.Header.Get("Content-Type"))
	}
	var p struct {
		Title   string
		Status  int
		Kind    string
		Request string `json:"request_id"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("a problem that is not JSON: %w", err)
	}
	switch {
	case p.Status != a.StatusCode:
		return fmt.Errorf("the problem says %d, the answer is %d", p.Status, a.StatusCode)
	case c.kinds[p.Kind] != a.StatusCode:
		return fmt.Errorf("the kind %q goes with %d, the answer is %d", p.Kind, c.kinds[p.Kind], a.StatusCode)
	case p.Title != http.StatusText(a.StatusCode):
		return fmt.Errorf("the title of %d is %q", a.StatusCode, p.Title)
	case p.Request != a.Header.Get("X-Request-Id"):
		return fmt.Errorf("the problem is of the request %q, the answer of %q", p.Request, a.Header.Get("X-Request-Id"))
	}
	return nil
}

// undeclared checks the answer to a method that the path does not have: it must be a
// refusal, and a 405 must name the methods that the path has.
func (c *Contract) undeclared(path string, r *http.Request, a *http.Response) error {
	if err := refusal(a.StatusCode, http.StatusMethodNotAllowed, path+" has no "+r.Method); err != nil || a.StatusCode != http.StatusMethodNotAllowed {
		return err
	}
	allowed := strings.Split(a.Header.Get("Allow"), ", ")
	slices.Sort(allowed)
	if want := c.Methods()[path]; !slices.Equal(allowed, want) {
		return fmt.Errorf("%s has %v, and Allow says %v", path, want, allowed)
	}
	return nil
}

// refusal returns an error unless the status is the one that is due, or a refusal that
// is checked earlier.
func refusal(status, due int, why string) error {
	earlier := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest, http.StatusServiceUnavailable}
	if status == due || slices.Contains(earlier, status) {
		return nil
	}
	return fmt.Errorf("%s, and the answer is %d", why, status)
}
