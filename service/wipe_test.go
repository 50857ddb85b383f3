package service_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
)

// keeper keeps the slices that are written to it, in the writer's own memory.
type keeper struct {
	http.ResponseWriter
	written [][]byte
}

func (k *keeper) Write(b []byte) (int, error) {
	k.written = append(k.written, b)
	if !bytes.Contains(b, []byte("s3cret")) && !bytes.Contains(b, []byte("items")) && !bytes.Equal(b, []byte("]}")) {
		return 0, http.ErrBodyNotAllowed
	}
	return len(b), nil
}

// After an answer was sent, its value is wiped from memory.
func TestValuesAreWiped(t *testing.T) {
	r, store := memory(t)
	store.Set("a", "s3cret")
	for _, a := range []ask{
		{method: "GET", path: at("a")},
		{method: "GET", path: at("a"), header: map[string]string{"Accept": "application/octet-stream"}},
		{method: "POST", path: "/v1/batch-get", body: `{"ids":["a"]}`, header: asJSON()},
	} {
		request := httptest.NewRequest(a.method, "http://"+r.server.Listener.Addr().String()+a.path, bytes.NewReader([]byte(a.body)))
		request.Header.Set("Authorization", "Bearer "+r.all)
		for name, value := range a.header {
			request.Header.Set(name, value)
		}
		k := &keeper{ResponseWriter: httptest.NewRecorder()}
		r.server.Config.Handler.ServeHTTP(k, request)
		n := 0
		for _, b := range k.written {
			if bytes.Contains(b, []byte("s3cret")) {
				t.Errorf("%s %s: the value is still there", a.method, a.path)
			}
			if len(b) > 0 && bytes.Count(b, []byte{0}) == len(b) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s %s: %d of %d parts were wiped", a.method, a.path, n, len(k.written))
		}
	}
}
