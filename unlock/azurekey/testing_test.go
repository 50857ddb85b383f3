package azurekey_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/unlock/azurekey"
)

// world is a vault with a key "team", on a server of its own.
type world struct {
	*azureserver.Vault
	server *azureserver.Server
	client http.RoundTripper
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server, err := azureserver.New(azureserver.Options{Delays: azureserver.Delays{Delete: time.Nanosecond}})
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Transport()
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	w := &world{server.Vault("team"), server, transport}
	w.AddKey("team", azureserver.KeySeed{})
	return w
}

// url names a key of the vault.
func (w *world) url(name string) string { return w.URL() + "/keys/" + name }

// config is a configuration of the key "team", and of others.
func (w *world) config(also ...string) azurekey.Config {
	c := azurekey.DefaultConfigIn(func(string) string { return "" })
	c.URL, c.Also = w.url("team"), also
	c.Credential = azurekey.Credential{Type: "service_principal", TenantID: azureserver.TenantID, ClientID: azureserver.ClientID,
		ClientSecret: nebula.NewSecret([]byte(w.server.ClientSecret()))}
	c.Transport, c.Clock = w.client, hasty{}
	return c
}

// key returns the key of a new process.
func (w *world) key(t *testing.T, also ...string) nebula.Renewer {
	t.Helper()
	return newKey(t, w.config(also...))
}

func newKey(t *testing.T, c azurekey.Config) nebula.Renewer {
	t.Helper()
	key, err := azurekey.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// slot returns a slot for the key "team", and its secret.
func (w *world) slot(t *testing.T) (nebula.Slot, []byte) {
	t.Helper()
	slot, secret, err := w.key(t).NewSlot(t.Context(), "abcdefgh", [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return slot, secret
}

// calls counts the requests since the last look.
type calls struct{ logins, challenges, wraps, unwraps, reads, all int }

func (w *world) calls() calls {
	c := calls{w.server.Count(azureserver.OpenIDConfig) + w.server.Count(azureserver.Token), w.Count(azureserver.Challenge), w.Count(azureserver.WrapKey),
		w.Count(azureserver.UnwrapKey), w.Count(azureserver.GetKey), len(w.server.Requests())}
	w.server.ForgetRequests()
	return c
}

// hasty is the system's clock, except that waiting takes no time.
type hasty struct{}

func (hasty) Now() time.Time                                   { return time.Now() }
func (hasty) Random() float64                                  { return 0 }
func (hasty) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// open opens the store in a directory like another process.
func open(t *testing.T, dir string, options nebula.Options) *nebula.Store {
	t.Helper()
	config := local.DefaultConfig()
	config.BasePath = dir
	p, err := local.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := nebula.Open(t.Context(), p, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func wantKind(t *testing.T, err error, want nebula.Kind, texts ...string) {
	t.Helper()
	if nebula.KindOf(err) != want {
		t.Errorf("got %v (%s), want %s", err, nebula.KindOf(err), want)
		return
	}
	for _, text := range texts {
		if err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in: %v", text, err)
		}
	}
}

func contextWithTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

// parse reads the data of a slot.
func parse(t *testing.T, slot nebula.Slot) slotdata.AzureKey {
	t.Helper()
	data, err := slotdata.ParseAzureKey(slot.Data)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
