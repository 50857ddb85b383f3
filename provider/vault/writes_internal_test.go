package vault

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// TestFindAttempt: whether a version can be the one of an earlier attempt is told
// by its number and its age. Of one that can be, and is deleted, nobody knows.
func TestFindAttempt(t *testing.T) {
	now := time.Now()
	for what, c := range map[string]struct {
		number  int64
		created time.Time
		looks   int32
		unknown bool
	}{
		"the current version, of this moment":  {2, now, 1, true},
		"one that there is not yet":            {3, now, 0, false},
		"one that was there long before":       {2, now.Add(-time.Hour), 0, false},
		"one that is no longer kept":           {1, now, 1, true},
		"the current version, a second before": {2, now.Add(-time.Second), 1, true},
	} {
		var looks atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/metadata/") {
				fmt.Fprintf(w, `{"data":{"current_version":2,"versions":{"2":{"created_time":%q}}}}`, c.created.UTC().Format(time.RFC3339Nano))
				return
			}
			looks.Add(1)
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"errors":[]}`)
		}))
		config := DefaultConfigIn(func(string) string { return "" })
		config.Address, config.Auth.Token = server.URL, nebula.NewSecret([]byte("t"))
		d, err := newDriver(config, provider.NewOptions(provider.OneShot()))
		if err == nil {
			err = d.Open(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		name, _ := nebula.ID("x").Name()
		r := sealed{name: name, record: "ours"}
		d.noteAttempt(r, c.number, now)
		_, found, err := d.findAttempt(t.Context(), r)
		if found || (err != nil) != c.unknown || looks.Load() != c.looks {
			t.Errorf("%s: %v, %v, %d looks", what, found, err, looks.Load())
		}
		d.Close()
		server.Close()
	}
}
