package azure

import (
	"errors"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/provider"
)

// The inner codes of Key Vault's errors that are told apart.
const (
	beingDeleted     = "ObjectIsBeingDeleted"
	deletedCanReturn = "ObjectIsDeletedButRecoverable"
	beingRecovered   = "ObjectIsBeingRecovered"
	secretDisabled   = "SecretDisabled"
)

// Explain implements [provider.Driver]. This file and errors_denied.go know Key
// Vault's errors about secrets. Package azureapi knows the others.
func (d *driver) Explain(_ nebula.Name, err error) *nebula.Error {
	return d.vault.Explain(err, d.explainSecret)
}

// explain is Explain for an error that is not about one record.
func (d *driver) explain(err error) *nebula.Error { return d.Explain(nebula.Name{}, err) }

// explainSecret explains the vault's error about a secret.
func (d *driver) explainSecret(r *azcore.ResponseError) *nebula.Error {
	switch r.StatusCode {
	case http.StatusForbidden:
		return d.explainDenied(r)
	case http.StatusNotFound:
		return d.explainNotFound(r)
	case http.StatusConflict:
		return explainConflict(r)
	}
	return nil
}

// explainNotFound tells a missing secret from another server's 404.
func (d *driver) explainNotFound(r *azcore.ResponseError) *nebula.Error {
	if r.ErrorCode != "SecretNotFound" {
		return d.vault.ForeignAnswer()
	}
	return provider.NotFound()
}

func explainConflict(r *azcore.ResponseError) *nebula.Error {
	doing := map[string]string{
		beingDeleted:     "is being deleted",
		deletedCanReturn: "is deleted, and its name taken until it is recovered or purged",
		beingRecovered:   "is being recovered",
		"":               "is in the way for now: it was just purged",
	}[azureapi.InnerCode(r)]
	if doing == "" {
		doing = "is in a state that does not allow this"
	}
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "the secret " + doing}
}

// isMoving reports that Key Vault is working on the name, and that the same
// call will have another answer when it is done. After a purge Key Vault says
// so without an inner code.
func isMoving(err error) bool {
	inner := azureapi.InnerCode(err)
	return azureapi.HasStatus(err, http.StatusConflict) && (inner == "" || inner == beingDeleted || inner == beingRecovered)
}

func isDeleted(err error) bool {
	return azureapi.HasStatus(err, http.StatusConflict) && azureapi.InnerCode(err) == deletedCanReturn
}

// isMissing reports whether the error is a 404 that says that there is no such
// secret.
func isMissing(err error) bool {
	var r *azcore.ResponseError
	return errors.As(err, &r) && r.StatusCode == http.StatusNotFound && r.ErrorCode == "SecretNotFound"
}

func isDisabled(err error) bool {
	return azureapi.HasStatus(err, http.StatusForbidden) && azureapi.InnerCode(err) == secretDisabled
}

// refusedSecret returns the name of the secret that a call was about.
func refusedSecret(r *azcore.ResponseError) string {
	if r.RawResponse == nil || r.RawResponse.Request == nil {
		return ""
	}
	_, rest, _ := strings.Cut(strings.TrimPrefix(r.RawResponse.Request.URL.Path, "/"), "/")
	secret, _, _ := strings.Cut(rest, "/")
	return secret
}

// errDisabled is a conflict, not a lack of permission: an identity that may do
// everything cannot read the secret either.
func (d *driver) errDisabled(secret string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "the secret is disabled in Key Vault",
		Hint: "enable it: " + d.setAttributes(secret) + " --enabled true"}
}

func (d *driver) errNotNow(secret string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "the secret has expired in Key Vault, or is not valid yet",
		Hint: "change its dates: " + d.setAttributes(secret) + " --expires DATE --not-before DATE"}
}

func (d *driver) setAttributes(secret string) string {
	return "az keyvault secret set-attributes --vault-name " + d.vault.Name() + " --name " + secret
}

// errUncertain is the error for a record whose tags others took away.
func errUncertain() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrCorrupted, Message: "others removed the tags of the secret, and the record that it holds is not sealed under the current key of this store: it may be another store's",
		Hint: "if it is yours, store it again first: nebula put"}
}

// errUntold explains why a secret without our tags, stored where a record
// belongs, could not be read.
func (d *driver) errUntold(err error) error {
	e := *d.explain(err)
	e.Message += "; without the tags of nebula, only its value tells whether it is a record"
	return &e
}

// errIDLost is the error for a record whose id was only in a tag.
func errIDLost() error {
	return &nebula.Error{Kind: nebula.ErrCorrupted, Message: "it is a record, and others removed the tag nebula-, which held its id: the secret's name holds a hash",
		Hint: "store the credential again under its id, if you know it: nebula put"}
}

func errProtected() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Message: "the vault has purge protection: nothing can be purged before its time of retention is over",
		Hint: "delete it, and wait for that time"}
}
