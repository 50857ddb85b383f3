package transit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
)

// Check asks Vault for its state, what the token may do with each key, and
// whether the key is fit for slots. It makes two calls and one for each key, and
// changes nothing.
func (k *key) Check(ctx context.Context) []nebula.Finding {
	var findings provider.Findings
	err := k.use(ctx, func(e *engine) error {
		x := &examination{config: k.config, engine: e, Findings: &findings}
		if x.server(ctx) {
			x.keys(ctx)
		}
		return nil
	})
	var failed *nebula.Error
	if errors.As(err, &failed) {
		findings.Failed("", failed)
	}
	for i := range findings {
		if findings[i].Check != "clock" {
			findings[i].Check = nebula.SlotVaultTransit
		}
	}
	return findings
}

type examination struct {
	config Config
	engine *engine
	*provider.Findings
}

func (x *examination) server(ctx context.Context) bool {
	health, ok := x.engine.client.CheckServer(ctx, x.Findings)
	if ok && x.config.Namespace != "" && !health.Enterprise {
		x.Add("", nebula.SeverityWarning, x.config.withoutNamespaces(), "leave it out")
	}
	return ok
}

// keys examines the keys of the configuration.
func (x *examination) keys(ctx context.Context) {
	names := x.config.keys()
	var paths []string
	for _, name := range names {
		for _, what := range []string{"decrypt", "encrypt", "keys"} {
			paths = append(paths, x.engine.path(what, name))
		}
	}
	granted, err := x.engine.client.Capabilities(ctx, paths)
	if err != nil {
		x.Failed("", x.engine.explain("", err))
		return
	}
	for _, name := range names {
		x.permissions(name, granted)
		if may(granted[x.engine.path("keys", name)], "read") {
			x.state(ctx, name)
		}
	}
}

// permissions says what the token may do with a key. It must be allowed to
// decrypt. Rights that only key add and key rotate need may be missing.
func (x *examination) permissions(name string, granted map[string][]string) {
	decrypt, encrypt, read := x.engine.path("decrypt", name), x.engine.path("encrypt", name), x.engine.path("keys", name)
	if !may(granted[decrypt], "update") {
		x.Add("", nebula.SeverityError, "the token lacks update on "+decrypt+": it opens no slot", vaultapi.PolicyLine(decrypt, "update"))
	}
	if slices.Contains(granted[encrypt], "create") {
		x.Add("", nebula.SeverityWarning, "the token has create on "+encrypt+": Vault makes a key when something is encrypted for a name that it does not know",
			vaultapi.PolicyLine(encrypt, "update"))
	}
	key := x.engine.mount + "/" + name
	if may(granted[encrypt], "update") && may(granted[read], "read") {
		x.Add("", nebula.SeverityOK, "slots can be made for "+key, "")
	} else {
		x.Add("", nebula.SeverityOK, "no slot can be made for "+key+" from here, and a rotation keeps its slots' secrets: that takes update on "+encrypt+" and read on "+read, "")
	}
}

func may(granted []string, capability string) bool {
	return slices.Contains(granted, capability) || slices.Contains(granted, "root")
}

// state examines a key itself.
func (x *examination) state(ctx context.Context, name string) {
	state, err := x.engine.usable(ctx, name)
	var e *nebula.Error
	if errors.As(err, &e) {
		x.Failed("", e)
		return
	}
	x.Add("", nebula.SeverityOK, fmt.Sprintf("%s/%s: %s, version %d, which opens slots from version %d on",
		x.engine.mount, name, state.Type, state.LatestVersion, state.MinDecryptionVersion), "")
	if state.DeletionAllowed {
		x.Add("", nebula.SeverityWarning, x.engine.mount+"/"+name+" may be deleted, and with it this way into the store",
			"vault write "+x.engine.path("keys", name)+"/config deletion_allowed=false")
	}
}
