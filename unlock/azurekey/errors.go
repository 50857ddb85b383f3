package azurekey

import (
	"errors"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/unlock/internal/slots"
)

// use is what a key is used for.
type use struct {
	operation string // as an access policy and the key itself have it
	action    string // of a role, below Microsoft.KeyVault/vaults/
}

var (
	wraps   = use{"wrapKey", "keys/wrap/action"}
	unwraps = use{"unwrapKey", "keys/unwrap/action"}
	reads   = use{"get", "keys/read"}
)

// request is a call to a vault, for messages.
type request struct {
	key     vaultKey
	use     use
	version string // "" for the current one
	slotID  string // of the slot that is opened; "" for others
}

var (
	errForeign    = errors.New("the answer is not one of Key Vault's")
	errNotForThis = errors.New("the key's operations do not have it")
	errNotNow     = errors.New("the key's dates do not allow it")
	errDenied     = errors.New("the identity may not")
)

// versionOf returns the version in an id, if it belongs to the key. The SDK's
// own parser panics on other ids.
func versionOf(id *azkeys.ID, k vaultKey) (slotdata.AzureURL, error) {
	if id == nil {
		return slotdata.AzureURL{}, errForeign
	}
	u, err := slotdata.ParseAzureURL(strings.Replace(string(*id), ":443/", "/", 1))
	if err != nil || !strings.EqualFold(u.Host, k.host) || !strings.EqualFold(u.Name, k.name) {
		return slotdata.AzureURL{}, errForeign
	}
	return u, nil
}

// explain explains a failed call, and names its key.
func (r request) explain(v *vault, err error) *nebula.Error {
	e := *v.Explain(err, func(answered *azcore.ResponseError) *nebula.Error {
		switch answered.StatusCode {
		case http.StatusBadRequest:
			return r.explainBad()
		case http.StatusForbidden:
			return r.explainForbidden(v, answered)
		case http.StatusNotFound:
			return r.explainMissing(answered)
		}
		return nil
	})
	if !strings.Contains(e.Message, r.key.String()) {
		e.Message = "the Azure key " + r.key.String() + ": " + e.Message
	}
	return &e
}

// explainBad explains a bad value. Key Vault does not tell a damaged value from
// one that another key wrapped, or from one that is too long.
func (r request) explainBad() *nebula.Error {
	if r.use != unwraps {
		return nil
	}
	e := slots.Damaged(r.slotID, "--azure-key URL", errors.New("Key Vault cannot unwrap it with "+r.subject()))
	return e.(*nebula.Error)
}

// explainForbidden tells a use that the key does not allow, or not now, from
// one that the identity lacks the right for.
func (r request) explainForbidden(v *vault, answered *azcore.ResponseError) *nebula.Error {
	switch azureapi.InnerCode(answered) {
	case "KeyDisabled":
		return r.disabled()
	case "KeyExpired", "KeyNotYetValid":
		return r.notNow()
	case "KeyOperationForbidden":
		return r.notForThis()
	}
	e := v.Denied(answered, azureapi.Right{Object: "key", Action: r.use.action, Permission: r.use.operation,
		Role: "Key Vault Crypto Service Encryption User", Scope: "/keys/" + r.key.name})
	if !azureapi.IsShutOut(answered) {
		e.Err = errDenied
	}
	if r.use == wraps && azureapi.InnerCode(answered) == "" {
		e.Message += ", or the key has expired or is not valid yet"
	}
	return e
}

func (r request) disabled() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: r.subject() + " is disabled", Hint: "enable it: " + r.setAttributes() + " --enabled true"}
}

func (r request) notNow() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrPermissionDenied, Err: errNotNow,
		Message: r.subject() + " has expired or is not valid yet: it unwraps, and wraps nothing new",
		Hint: "make a version: az keyvault key rotate --vault-name " + r.key.vault() + " --name " + r.key.name +
			"; or change its dates: " + r.setAttributes() + " --expires DATE"}
}

func (r request) notForThis() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrPermissionDenied, Err: errNotForThis, Message: r.subject() + " is not for " + r.use.operation,
		Hint: "allow it, if it is an RSA key: " + r.setAttributes() + " --ops wrapKey unwrapKey"}
}

// explainMissing is for a key that is not there, or deleted. A version cannot be
// deleted alone: if it is gone, the key was purged and made anew.
func (r request) explainMissing(answered *azcore.ResponseError) *nebula.Error {
	if answered.ErrorCode != "KeyNotFound" {
		return nil
	}
	return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "the vault " + r.key.vault() + " does not have " + r.subject() + ", or it was deleted",
		Hint: "look at " + setting + "; a key that was deleted is recovered with: az keyvault key recover --vault-name " + r.key.vault() + " --name " + r.key.name}
}

// subject names the key of a call.
func (r request) subject() string {
	text := "the Azure key " + r.key.String()
	if r.version != "" {
		text += "/" + r.version
	}
	return text
}

func (r request) setAttributes() string {
	text := "az keyvault key set-attributes --vault-name " + r.key.vault() + " --name " + r.key.name
	if r.version != "" {
		text += " --version " + r.version
	}
	return text
}
