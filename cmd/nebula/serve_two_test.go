//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/histories"
)

// Two services over one directory, with writers on both. What each caller saw
// fits one order of all calls, and no update is lost.
func TestTwoServices(t *testing.T) {
	home, secret := newHome(t)
	var both []*server
	for i := range 2 {
		both = append(both, serveIn(t, home, secret, "--listen", "unix:"+filepath.Join(home, fmt.Sprint("s", i), "serve.sock"), "--audit", "audit.log"))
	}
	h := histories.New()
	var writers sync.WaitGroup
	for w := range 6 {
		c := &caller{server: both[w%2], client: h.Client()}
		writers.Go(func() {
			for i := range 12 {
				if err := c.round(fmt.Sprintf("%d-%d", w, i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	h.Verify(t)
	if h.Count(histories.Put, histories.Done) < 6 || h.Count(histories.Put, histories.Refused) == 0 {
		t.Errorf("%d writes were done and %d refused: they did not contend", h.Count(histories.Put, histories.Done), h.Count(histories.Put, histories.Refused))
	}
}

type caller struct {
	*server
	client *histories.Client
}

const contended = "/v1/credentials/contended"

// round reads the value, and writes it if it is still the same.
func (c *caller) round(value string) error {
	end := c.client.Begin(histories.Call{Kind: histories.Get})
	status, text, err := c.do("GET", contended, "")
	var read struct{ Value, Version string }
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal([]byte(text), &read)
	}
	condition := []string{"If-None-Match", "*"}
	put := histories.Call{Kind: histories.Put, Value: value, IfAbsent: true}
	switch {
	case err != nil:
		return err
	case status == http.StatusOK:
		end(histories.Done, read.Value, read.Version)
		condition = []string{"If-Match", `"` + read.Version + `"`}
		put = histories.Call{Kind: histories.Put, Value: value, IfVersion: read.Version}
	case status == http.StatusNotFound:
		end(histories.Absent, "", "")
	default:
		return fmt.Errorf("GET: %d %s", status, text)
	}
	end = c.client.Begin(put)
	status, text, err = c.do("PUT", contended, value, condition...)
	var written struct{ Version string }
	switch {
	case err != nil:
		return err
	case status == http.StatusOK || status == http.StatusCreated:
		err = json.Unmarshal([]byte(text), &written)
		end(histories.Done, "", written.Version)
	case status == http.StatusPreconditionFailed:
		end(histories.Refused, "", "")
	default:
		err = fmt.Errorf("PUT: %d %s", status, text)
	}
	return err
}
