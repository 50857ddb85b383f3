package azurekey_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// editing changes a vault's answers about keys.
type editing struct {
	inner http.RoundTripper
	edit  func(answer map[string]any) []byte
	asked *[]string // the addresses of requests that carry a token
}

func (e editing) RoundTrip(r *http.Request) (*http.Response, error) {
	if e.asked != nil && r.Header.Get("Authorization") != "" {
		*e.asked = append(*e.asked, r.URL.Host+r.URL.Path)
	}
	response, err := e.inner.RoundTrip(r)
	if err != nil || e.edit == nil || !strings.HasPrefix(r.URL.Path, "/keys/") || response.StatusCode != http.StatusOK {
		return response, err
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	text := e.edit(answer)
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	response.Header.Del("Content-Length")
	return response, nil
}

// set is an edit that replaces the value of a field.
func set(field string, value any) func(map[string]any) []byte {
	return func(answer map[string]any) []byte {
		answer[field] = value
		text, _ := json.Marshal(answer)
		return text
	}
}

// An answer that does not fit the request opens no slot and makes none.
func TestForeignAnswers(t *testing.T) {
	w := newWorld(t)
	slot, _ := w.slot(t)
	version := parse(t, slot).URL.Version
	const other = "0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		edit         func(map[string]any) []byte
		unwrap, wrap nebula.Kind
	}{
		"another vault":   {set("kid", "https://evil.vault.azure.net/keys/team/"+version), nebula.ErrInvalidConfig, nebula.ErrInvalidConfig},
		"another key":     {set("kid", w.url("evil")+"/"+version), nebula.ErrInvalidConfig, nebula.ErrInvalidConfig},
		"another version": {set("kid", w.url("team")+"/"+other), nebula.ErrInvalidConfig, nebula.ErrPermissionDenied},
		"no version":      {set("kid", w.url("team")), nebula.ErrInvalidConfig, nebula.ErrInvalidConfig},
		"no id":           {set("kid", nil), nebula.ErrInvalidConfig, nebula.ErrInvalidConfig},
		"a short secret":  {set("value", "AAAA"), nebula.ErrCorrupted, nebula.ErrUnavailable},
		"no secret":       {set("value", ""), nebula.ErrCorrupted, nebula.ErrUnavailable},
		"no JSON":         {func(map[string]any) []byte { return []byte("<html>") }, nebula.ErrInvalidConfig, nebula.ErrInvalidConfig},
		"an empty answer": {func(map[string]any) []byte { return nil }, nebula.ErrInvalidConfig, nebula.ErrInvalidConfig},
		"too long":        {func(map[string]any) []byte { return bytes.Repeat([]byte(" "), 5<<20) }, nebula.ErrTooLarge, nebula.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			config := w.config()
			config.Transport = editing{inner: w.client, edit: c.edit}
			_, err := newKey(t, config).Secret(t.Context(), slot)
			wantKind(t, err, c.unwrap)
			_, _, err = newKey(t, config).NewSlot(t.Context(), "ijklmnop", [16]byte{})
			wantKind(t, err, c.wrap)
		})
	}
}

// Of a slot, only the version and the wrapped secret go to a server, and only to the
// configured one.
func TestSlotChoosesNothing(t *testing.T) {
	w := newWorld(t)
	slot, _ := w.slot(t)
	for _, host := range []string{"evil.vault.azure.net", "team.vault.azure.net:8443", "169.254.169.254", "team.vault.azure.net.evil.example"} {
		data := parse(t, slot)
		data.URL.Host = host
		moved := slot
		moved.Data = data.Bytes()
		var asked []string
		config := w.config()
		config.Transport = editing{inner: w.client, asked: &asked}
		_, err := newKey(t, config).Secret(t.Context(), moved)
		wantKind(t, err, nebula.ErrWrongKey)
		if len(asked) > 0 {
			t.Errorf("%s: %v were asked", host, asked)
		}
	}
	var asked []string
	config := w.config()
	config.Transport = editing{inner: w.client, asked: &asked}
	if _, err := newKey(t, config).Secret(t.Context(), slot); err != nil {
		t.Fatal(err)
	}
	if want := "team.vault.azure.net/keys/team/" + parse(t, slot).URL.Version + "/unwrapkey"; len(asked) != 1 || asked[0] != want {
		t.Errorf("the requests are %v", asked)
	}
}
