package azurekey

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/unlock/internal/slots"
)

const check = "azure-key"

// soon is how long before the expiry of a key the check warns.
const soon = 30 * 24 * time.Hour

// Check examines login, vault and clock. For each configured key it examines the
// state, and whether it wraps. Whether it unwraps shows when a slot is opened.
func (k *key) Check(ctx context.Context) []nebula.Finding {
	x := &examination{client: k.client}
	for _, text := range k.config.urls() {
		if named, err := parseURL(text); err == nil { // Validate refuses others
			x.key(ctx, named)
		}
	}
	return x.Findings
}

// examination collects findings.
type examination struct {
	client *client
	who    bool // whether identity and clock were told of
	provider.Findings
}

func (x *examination) failed(err error) {
	var e *nebula.Error
	if errors.As(err, &e) {
		x.Failed(check, e)
	}
}

func (x *examination) key(ctx context.Context, k vaultKey) {
	began := x.client.clock.Now()
	bundle, response, err := x.client.read(ctx, k)
	denied := errors.Is(err, errDenied)
	if err != nil && !denied {
		x.failed(err)
		return
	}
	x.identity(began, response)
	var e *nebula.Error
	if errors.As(err, &e) {
		x.Add(check, nebula.SeverityWarning, "its state is not known: "+e.Message, e.Hint)
	} else if !x.state(k, bundle, began) {
		return
	}
	x.wraps(ctx, k)
}

// identity reports what all keys share, once.
func (x *examination) identity(began time.Time, response *http.Response) {
	if x.who {
		return
	}
	x.who = true
	x.Add(check, nebula.SeverityOK, azureapi.Credential(x.client.config.Credential).String(), "")
	if clock, told := azureapi.CheckClock(began, response); told {
		x.Findings = append(x.Findings, clock)
	}
}

// state describes the current version, and reports whether it can be used.
func (x *examination) state(k vaultKey, bundle azkeys.KeyBundle, now time.Time) bool {
	r := request{key: k}
	a := azkeys.KeyAttributes{}
	if bundle.Attributes != nil {
		a = *bundle.Attributes
	}
	unusable := func(e *nebula.Error) bool {
		x.Failed(check, e)
		return false
	}
	switch {
	case a.Enabled != nil && !*a.Enabled:
		return unusable(r.disabled())
	case !does(bundle, azkeys.KeyOperationUnwrapKey):
		return unusable(request{key: k, use: unwraps}.notForThis())
	case !does(bundle, azkeys.KeyOperationWrapKey):
		return unusable(request{key: k, use: wraps}.notForThis())
	}
	version, _ := versionOf(bundle.Key.KID, k) // read has checked it
	state := k.String() + " is enabled, its version is " + version.Version
	switch {
	case a.Expires == nil && a.NotBefore == nil, a.Expires != nil && a.Expires.Sub(now) > soon:
		x.Add(check, nebula.SeverityOK, state, "")
	case a.NotBefore != nil && now.Before(*a.NotBefore), a.Expires != nil && !now.Before(*a.Expires):
		e := r.notNow()
		x.Add(check, nebula.SeverityWarning, e.Message, e.Hint)
	case a.Expires != nil:
		x.Add(check, nebula.SeverityWarning, state+", which expires on "+a.Expires.UTC().Format(time.DateOnly)+"; it unwraps after that, and wraps nothing new", r.notNow().Hint)
	default:
		x.Add(check, nebula.SeverityOK, state, "")
	}
	return true
}

// does reports whether a key has an operation. A key that names none has all.
func does(bundle azkeys.KeyBundle, op azkeys.KeyOperation) bool {
	if bundle.Key.KeyOps == nil {
		return true
	}
	return slices.ContainsFunc(bundle.Key.KeyOps, func(has *azkeys.KeyOperation) bool { return has != nil && *has == op })
}

// wraps tries to wrap a value that nobody keeps.
func (x *examination) wraps(ctx context.Context, k vaultKey) {
	_, err := x.client.wrap(ctx, k, slots.NewSecret())
	switch {
	case err == nil:
		x.Add(check, nebula.SeverityOK, k.String()+" may wrap", "")
	case errors.Is(err, errDenied):
		x.Add(check, nebula.SeverityOK, k.String()+" may not wrap: no slot can be added for it from here, and a rotation keeps its slots' secrets", "")
	case !errors.Is(err, errNotNow): // that was said
		x.failed(err)
	}
}

// read returns the current version of a key, and the answer that it came with.
func (c *client) read(ctx context.Context, k vaultKey) (bundle azkeys.KeyBundle, response *http.Response, err error) {
	err = c.call(ctx, request{key: k, use: reads}, func(ctx context.Context, keys *azkeys.Client) error {
		out, err := keys.GetKey(policy.WithCaptureResponse(ctx, &response), k.name, "", nil)
		if err != nil {
			return err
		}
		if out.Key == nil {
			return errForeign
		}
		bundle = out.KeyBundle
		_, err = versionOf(out.Key.KID, k)
		return err
	})
	return bundle, response, err
}
