package azure

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/azureapi"
	"github.com/nebula-credential/nebula/provider"
)

// Check asks for a token, for the first page of the list, and, with each call
// that operations need, for a secret that cannot exist. It makes seven calls,
// and one more for each secret of that page that may be ours and has no tags
// that say so. It changes nothing.
func (d *driver) Check(ctx context.Context) []nebula.Finding {
	x := &examination{driver: d}
	for _, variable := range d.config.unread {
		x.Add("environment", nebula.SeverityWarning, variable+" is set, and is not read", "set credential.type, the settings beside it, and vault_url instead")
	}
	if !x.identity(ctx) {
		return x.Findings
	}
	x.vault(ctx)
	return x.Findings
}

// examination collects findings.
type examination struct {
	driver *driver
	provider.Findings
}

// identity checks that a token can be obtained.
func (x *examination) identity(ctx context.Context) bool {
	const check = "identity"
	if err := x.driver.vault.Login(ctx); err != nil {
		x.Failed(check, x.driver.explain(err))
		return false
	}
	x.Add(check, nebula.SeverityOK, azureapi.Credential(x.driver.config.Credential).String(), "")
	return true
}

// vault examines whether the vault answers, what it holds and what is allowed.
func (x *examination) vault(ctx context.Context) {
	const check = "vault"
	began := x.driver.clock.Now()
	pager := x.driver.client.NewListSecretPropertiesPager(nil)
	var response *http.Response
	page, err := read(ctx, x.driver, func(ctx context.Context) (azsecrets.ListSecretPropertiesResponse, error) {
		return pager.NextPage(policy.WithCaptureResponse(ctx, &response))
	})
	var answered *azcore.ResponseError
	if err != nil && !errors.As(err, &answered) || azureapi.HasStatus(err, http.StatusUnauthorized) || azureapi.IsShutOut(err) {
		x.Failed(check, x.driver.explain(err))
		return
	}
	x.Add(check, nebula.SeverityOK, x.driver.vault.Host(), "")
	if clock, told := azureapi.CheckClock(began, response); told {
		x.Findings = append(x.Findings, clock)
	}
	x.permissions(ctx, err)
	x.contents(ctx, page.Value)
}

// probe is a call that can change nothing, and is refused if the right to it is
// missing.
type probe struct {
	right    string
	without  string // what does not work without it
	optional bool
	call     func(context.Context) error
}

// probes name a secret that does not exist: the name is random, and no
// credential can have it (see package dnsname). Setting it is refused for two
// reasons: it has no value, and one more tag than Key Vault keeps.
func (d *driver) probes() []probe {
	name := d.names.prefix + "--check-" + strings.ToLower(rand.Text())
	tooMany := make(map[string]*string)
	for i := range maxTags + 1 {
		tooMany["check"+strconv.Itoa(i)] = new(string)
	}
	return []probe{
		{"get", "reading", false, func(ctx context.Context) error {
			_, err := d.client.GetSecret(ctx, name, "", nil)
			return err
		}},
		{"set", "storing", false, func(ctx context.Context) error {
			_, err := d.client.SetSecret(ctx, name, azsecrets.SetSecretParameters{Tags: tooMany}, nil)
			return err
		}},
		{"delete", "deleting", false, func(ctx context.Context) error {
			_, err := d.client.DeleteSecret(ctx, name, nil)
			return err
		}},
		{"get (deleted)", "restoring, and storing over what was deleted,", false, func(ctx context.Context) error {
			_, err := d.client.GetDeletedSecret(ctx, name, nil)
			return err
		}},
		{"recover", "restoring, and storing over what was deleted,", false, func(ctx context.Context) error {
			_, err := d.client.RecoverDeletedSecret(ctx, name, nil)
			return err
		}},
		{"purge", "purging", true, func(ctx context.Context) error {
			_, err := d.client.PurgeDeletedSecret(ctx, name, nil)
			return err
		}},
	}
}

// permissions names each right that is missing. The list has been tried
// already.
func (x *examination) permissions(ctx context.Context, listed error) {
	const check = "permissions"
	probes := append([]probe{{"list", "listing", false, func(context.Context) error { return listed }}}, x.driver.probes()...)
	whole := true
	for _, q := range probes {
		_, err := read(ctx, x.driver, func(ctx context.Context) (struct{}, error) { return struct{}{}, q.call(ctx) })
		refused := azureapi.HasStatus(err, http.StatusForbidden)
		switch {
		case err == nil, isMissing(err), azureapi.HasStatus(err, http.StatusBadRequest), azureapi.HasStatus(err, http.StatusConflict):
			continue
		case refused && q.optional:
			e := x.driver.explain(err)
			x.Add(check, nebula.SeverityWarning, e.Message+": "+q.without+" does not work", e.Hint)
		case refused:
			e := x.driver.explain(err)
			x.Findings = append(x.Findings, nebula.Finding{Check: check, Kind: e.Kind, Severity: nebula.SeverityError,
				Message: e.Message + ": " + q.without + " does not work", Fix: e.Hint})
		default:
			x.Failed(check, x.driver.explain(err))
		}
		whole = false
	}
	if whole {
		x.Add(check, nebula.SeverityOK, "the identity may do all that is needed", "")
	}
}

// contents warns of problems that the first page of the list shows.
func (x *examination) contents(ctx context.Context, items []*azsecrets.SecretProperties) {
	var c contents
	for _, item := range items {
		if item != nil && item.ID != nil {
			x.sort(ctx, item, &c)
		}
	}
	if c.protected {
		x.Add("purge protection", nebula.SeverityOK, "on: deleted secrets stay until their time of retention is over, and cannot be purged", "")
	}
	if c.foreign != nil && x.driver.names.prefix != "" {
		x.Add("foreign secrets", nebula.SeverityWarning, "of others, under our prefix: "+some(c.foreign), "move them away, or set another secret_prefix")
	}
	if c.stripped != nil {
		x.Add("tags", nebula.SeverityWarning, "others removed the tags of nebula from "+some(c.stripped), "store the credentials again: nebula put")
	}
	if c.disabled != nil {
		x.Add("disabled secrets", nebula.SeverityWarning, "cannot be read: "+some(c.disabled),
			x.driver.setAttributes("NAME")+" --enabled true")
	}
}

// contents are names of secrets, grouped by problem.
type contents struct {
	foreign, stripped, disabled []string
	protected                   bool
}

func (x *examination) sort(ctx context.Context, item *azsecrets.SecretProperties, c *contents) {
	c.protected = c.protected || !isPurgeable(item.Attributes)
	secret, _, ok := parseSecretID(string(*item.ID))
	if !ok || !strings.HasPrefix(strings.ToLower(secret), x.driver.names.prefix) {
		return
	}
	name, _, certainty := x.driver.owner(item)
	if certainty == uncertain {
		if found, err := x.driver.tell(ctx, item, name); err == nil && found.Metadata == nil && found.Err == nil {
			certainty = notOurs
		}
	}
	switch {
	case certainty == notOurs:
		c.foreign = append(c.foreign, secret)
	case certainty == uncertain:
		c.stripped = append(c.stripped, secret)
	case item.Attributes != nil && item.Attributes.Enabled != nil && !*item.Attributes.Enabled:
		c.disabled = append(c.disabled, secret)
	}
}

// some shows the first of many.
func some(names []string) string {
	const max = 5
	slices.Sort(names)
	if len(names) > max {
		return strings.Join(names[:max], ", ") + fmt.Sprintf(" and %d more", len(names)-max)
	}
	return strings.Join(names, ", ")
}
