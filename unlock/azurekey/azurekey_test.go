package azurekey_test

import (
	"bytes"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/internal/testing/azureserver"
	"github.com/nebula-credential/nebula/unlock/azurekey"
)

// A process logs in and calls the key once, without a challenge, whatever the size of the
// key.
func TestOneCall(t *testing.T) {
	for _, seed := range []azureserver.KeySeed{{}, {Size: 3072}, {Type: "RSA-HSM", Size: 4096}} {
		w := newWorld(t)
		w.AddKey("team", seed)
		slot, secret := w.slot(t)
		if got, want := w.calls(), (calls{logins: 2, wraps: 1, unwraps: 1, all: 4}); got != want {
			t.Errorf("a new slot took %+v", got)
		}
		data := parse(t, slot)
		if slot.Kind != nebula.SlotAzureKey || slot.ID != "abcdefgh" || slot.Salt != [16]byte{1} || data.URL.Host != "team.vault.azure.net" ||
			len(data.Wrapped)*8 != max(seed.Size, 2048) || bytes.Contains(slot.Data, secret) {
			t.Errorf("the slot is %+v", slot)
		}
		key := w.key(t)
		for range 3 {
			got, err := key.Secret(t.Context(), slot)
			if err != nil || !bytes.Equal(got, secret) || len(secret) != 32 {
				t.Errorf("got %x, %v", got, err)
			}
		}
		if got, want := w.calls(), (calls{logins: 2, unwraps: 1, all: 3}); got != want {
			t.Errorf("opening took %+v", got)
		}
	}
}

// The configuration may name the slot's key in upper or lower case. The version is that
// of the slot.
func TestWhichKey(t *testing.T) {
	w := newWorld(t)
	w.AddKey("Other", azureserver.KeySeed{})
	slot, secret := w.slot(t)
	w.AddKey("team", azureserver.KeySeed{}) // a version that wrapped nothing
	w.calls()
	for _, c := range []azurekey.Config{
		{URL: "HTTPS://TEAM.Vault.Azure.net:443/keys/TEAM/"},
		{URL: w.url("other"), Also: []string{w.url("Team")}},
	} {
		config := w.config()
		config.URL, config.Also = c.URL, c.Also
		if !config.MayOpen(slot) {
			t.Errorf("%s: the key may not open its slot", c.URL)
		}
		if got, err := newKey(t, config).Secret(t.Context(), slot); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("%s: %x, %v", c.URL, got, err)
		}
	}
	w.calls()
	for _, url := range []string{w.url("other"), "https://else.vault.azure.net/keys/team", "https://team.vault.azure.cn/keys/team"} {
		config := w.config()
		config.URL = url
		if config.MayOpen(slot) {
			t.Errorf("%s may open the slot", url)
		}
		_, err := newKey(t, config).Secret(t.Context(), slot)
		wantKind(t, err, nebula.ErrWrongKey, "keys/team/", "not configured here")
		_, _, err = newKey(t, config).Renew(t.Context(), slot, [16]byte{2})
		wantKind(t, err, nebula.ErrNotSupported, "not configured here")
	}
	if got := w.calls(); got.all > 0 {
		t.Errorf("a key that is not configured was called: %+v", got)
	}
}

// Each refusal has its kind, says what to do, and repeats nothing that the server said.
func TestRefusals(t *testing.T) {
	inject := func(f azureserver.Fault) func(*world) { return func(w *world) { w.Inject(f) } }
	for name, c := range map[string]struct {
		change func(w *world)
		kind   nebula.Kind
		texts  []string
		opens  bool // the slot opens, although the key wraps nothing new
	}{
		"disabled": {func(w *world) { _ = w.ChangeKey("team", "", false, time.Time{}) }, nebula.ErrPermissionDenied,
			[]string{"is disabled", "az keyvault key set-attributes --vault-name team --name team", "--enabled true"}, false},
		"expired": {func(w *world) { _ = w.ChangeKey("team", "", true, time.Now().Add(-time.Hour)) }, nebula.ErrPermissionDenied,
			[]string{"has expired or is not valid yet", "az keyvault key rotate"}, true},
		"deleted": {func(w *world) { w.DeleteKey("team") }, nebula.ErrPermissionDenied, []string{"or it was deleted", "az keyvault key recover --vault-name team --name team"}, false},
		"purged":  {func(w *world) { w.ForgetKey("team") }, nebula.ErrPermissionDenied, []string{"the vault team does not have the Azure key"}, false},
		"no role": {func(w *world) {
			w.Inject(azureserver.ForbiddenByRbac(azureserver.UnwrapKey))
			w.Inject(azureserver.ForbiddenByRbac(azureserver.WrapKey))
		}, nebula.ErrPermissionDenied, []string{"Microsoft.KeyVault/vaults/keys/", "wrap/action", `--role "Key Vault Crypto Service Encryption User"`, `--output tsv)/keys/team"`}, false},
		"no policy": {func(w *world) {
			w.Inject(azureserver.AccessDenied(azureserver.UnwrapKey))
			w.Inject(azureserver.AccessDenied(azureserver.WrapKey))
		}, nebula.ErrPermissionDenied, []string{"lacks the key permission", "--key-permissions"}, false},
		"by something": {inject(azureserver.Fault{Status: 403, Code: "Forbidden"}), nebula.ErrPermissionDenied, []string{"lacks the action", "or its access policy"}, false},
		"firewall":     {inject(azureserver.ForbiddenByFirewall()), nebula.ErrPermissionDenied, []string{"firewall of the vault team"}, false},
		"throttled":    {inject(azureserver.Throttled()), nebula.ErrUnavailable, []string{"429"}, false},
		"broken":       {inject(azureserver.Unavailable(500)), nebula.ErrUnavailable, []string{"500"}, false},
		"cut":          {inject(azureserver.Fault{CutBefore: true}), nebula.ErrUnavailable, nil, false},
		"elsewhere":    {inject(azureserver.Fault{Status: 307, Location: "https://evil.example/"}), nebula.ErrInvalidConfig, []string{"redirects", "[key.azure_key]"}, false},
		"another":      {inject(azureserver.Fault{Status: 404, Code: "NotFound"}), nebula.ErrInvalidConfig, []string{"not Azure Key Vault", "[key.azure_key]"}, false},
		"token": {func(w *world) {
			w.SetChallenge(`Bearer authorization="https://evil.example/x", resource="https://vault.azure.net"`)
			w.server.SetTokenLifetime(-time.Hour)
		}, nebula.ErrUnauthenticated, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			slot, secret := w.slot(t)
			c.change(w)
			got, err := w.key(t).Secret(t.Context(), slot)
			if c.opens {
				if err != nil || !bytes.Equal(got, secret) {
					t.Errorf("the slot does not open: %v", err)
				}
			} else {
				wantKind(t, err, c.kind, c.texts...)
			}
			_, _, err = w.key(t).NewSlot(t.Context(), "ijklmnop", [16]byte{})
			wantKind(t, err, c.kind, c.texts...)
			if text := err.Error(); strings.Contains(text, "caller") || strings.Contains(text, "Operation") || strings.Contains(text, w.server.ClientSecret()) {
				t.Errorf("the error repeats the server's text: %s", text)
			}
		})
	}
}

// If the key was purged and made anew, the version that wrapped a slot is gone, and the
// slot stays closed.
func TestVersionGone(t *testing.T) {
	w := newWorld(t)
	slot, _ := w.slot(t)
	w.ForgetKey("team")
	w.AddKey("team", azureserver.KeySeed{})
	_, err := w.key(t).Secret(t.Context(), slot)
	wantKind(t, err, nebula.ErrPermissionDenied, parse(t, slot).URL.Version)
}

// A slot counts as damaged, whatever part of it was changed.
func TestDamaged(t *testing.T) {
	w := newWorld(t)
	slot, _ := w.slot(t)
	w.AddKey("team", azureserver.KeySeed{})
	newer, _ := w.slot(t)
	data, other := parse(t, slot), parse(t, newer)
	w.calls()
	for name, change := range map[string]func(d *slotdata.AzureKey){
		"a bit":                func(d *slotdata.AzureKey) { d.Wrapped = append([]byte{d.Wrapped[0] ^ 1}, d.Wrapped[1:]...) },
		"of another length":    func(d *slotdata.AzureKey) { d.Wrapped = append(bytes.Clone(d.Wrapped), 1) },
		"of another version":   func(d *slotdata.AzureKey) { d.URL.Version = other.URL.Version },
		"wrapped by another":   func(d *slotdata.AzureKey) { d.Wrapped = other.Wrapped },
		"too short for a form": func(d *slotdata.AzureKey) { d.Wrapped = d.Wrapped[:10] },
	} {
		changed, bad := data, slot
		change(&changed)
		bad.Data = changed.Bytes()
		_, err := w.key(t).Secret(t.Context(), bad)
		if name == "a bit" || name == "of another length" {
			wantKind(t, err, nebula.ErrCorrupted, "the slot abcdefgh is damaged", "nebula key add --azure-key")
			continue
		}
		wantKind(t, err, nebula.ErrCorrupted, "the slot abcdefgh is damaged")
	}
}

// A key that cannot both wrap and unwrap makes no slot. If only this identity may not
// unwrap, the slot is for others, and Nebula says so.
func TestNewSlotTries(t *testing.T) {
	for name, seed := range map[string]azureserver.KeySeed{"to wrap": {Operations: []string{"wrapKey"}}, "to unwrap": {Operations: []string{"unwrapKey"}}, "EC": {Type: "EC"}} {
		w := newWorld(t)
		w.AddKey("team", seed)
		_, _, err := w.key(t).NewSlot(t.Context(), "abcdefgh", [16]byte{})
		wantKind(t, err, nebula.ErrPermissionDenied, "is not for", "--ops wrapKey unwrapKey")
		if err == nil {
			t.Errorf("a key %s made a slot", name)
		}
	}
	w := newWorld(t)
	remove := w.Inject(azureserver.AccessDenied(azureserver.UnwrapKey))
	var told []string
	c := w.config()
	c.Tell = func(text string) { told = append(told, text) }
	slot, secret, err := newKey(t, c).NewSlot(t.Context(), "abcdefgh", [16]byte{})
	if err != nil || len(told) != 1 || !strings.Contains(told[0], `not tried: the Azure key https://team.vault.azure.net/keys/team: the access policy of the vault team lacks the key permission "unwrapKey"`) {
		t.Fatalf("%v, %q", err, told)
	}
	remove()
	if got, err := w.key(t).Secret(t.Context(), slot); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%x, %v", got, err)
	}
}

// A call ends with its context, and the error says so.
func TestDeadline(t *testing.T) {
	w := newWorld(t)
	slot, _ := w.slot(t)
	w.Inject(azureserver.Fault{Operation: azureserver.UnwrapKey, Delay: time.Minute})
	ctx, cancel := contextWithTimeout(t, 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := w.key(t).Secret(ctx, slot)
	wantKind(t, err, nebula.ErrTimeout)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// No connection and no goroutine is kept between two calls.
func TestNothingStays(t *testing.T) {
	w := newWorld(t)
	slot, _ := w.slot(t)
	before := runtime.NumGoroutine()
	for range 5 {
		if _, err := w.key(t).Secret(t.Context(), slot); err != nil {
			t.Fatal(err)
		}
	}
	for until := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d goroutines became %d", before, runtime.NumGoroutine())
		}
	}
}

// If many open a slot at once, one calls the key.
func TestAtOnce(t *testing.T) {
	w := newWorld(t)
	slot, secret := w.slot(t)
	w.calls()
	key := w.key(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := key.Secret(t.Context(), slot); err != nil || !bytes.Equal(got, secret) {
				t.Errorf("got %x, %v", got, err)
			}
		})
	}
	all.Wait()
	if got := w.calls(); got.unwraps != 1 || got.logins != 2 {
		t.Errorf("the calls are %+v", got)
	}
}
