package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// verbs are the verbs that a store uses on secrets. All but watch are needed.
var verbs = []string{"get", "list", "create", "patch", "delete", verbWatch}

const verbWatch = "watch"

// Check implements [nebula.Checker]. It asks the server for its version, the
// client's user, what that user may do, and whether the namespace accepts
// Secrets. It also checks the marks of all credentials. It makes nine calls and
// those of a list, and changes nothing.
func (d *driver) Check(ctx context.Context) []nebula.Finding {
	x := &examination{driver: d}
	if !x.server(ctx) {
		return x.Findings
	}
	x.identity(ctx)
	if x.permissions(ctx) {
		x.namespace(ctx)
		x.marks(ctx)
	}
	return x.Findings
}

// examination collects findings.
type examination struct {
	*driver
	provider.Findings
}

// server examines whether the API server answers, and its clock. A server may
// refuse to tell its version.
func (x *examination) server(ctx context.Context) bool {
	const check = "server"
	ctx, cancel := context.WithTimeout(ctx, x.config.Timeout)
	defer cancel()
	began := x.clock.Now()
	a, err := x.call(ctx, request{method: http.MethodGet, path: "version"})
	if err != nil && !hasStatus(err, http.StatusForbidden) {
		x.Failed(check, x.Explain(nebula.Name{}, err))
		return false
	}
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	switch {
	case err != nil:
		x.Add(check, nebula.SeverityOK, x.access.server.Host+", of "+x.access.source, "")
	case json.Unmarshal(a.Body, &version) != nil || version.GitVersion == "":
		x.Failed(check, errForeignAnswer())
		return false
	default:
		x.Add(check, nebula.SeverityOK, x.access.server.Host+", Kubernetes "+printable(version.GitVersion)+", of "+x.access.source, "")
	}
	if at, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		if off := at.Sub(began).Abs(); off > time.Minute {
			x.Add("clock", nebula.SeverityWarning, fmt.Sprintf("this machine's clock and the server's differ by %v", off.Round(time.Second)),
				"set the clock: rotation dates and the life of tokens depend on it")
		} else {
			x.Add("clock", nebula.SeverityOK, "agrees with the server's", "")
		}
	}
	return true
}

// printable cuts a text of the server to a length that can be shown.
func printable(s string) string {
	const maxShown = 120
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), maxShown)]
}

// review posts a question about the client, and reads the answer's status.
func (x *examination) review(ctx context.Context, group, plural, kind string, spec any, status any) error {
	ctx, cancel := context.WithTimeout(ctx, x.config.Timeout)
	defer cancel()
	body := map[string]any{"apiVersion": group + "/v1", "kind": kind}
	if spec != nil {
		body["spec"] = spec
	}
	a, err := x.call(ctx, request{method: http.MethodPost, path: "apis/" + group + "/v1/" + plural, body: body})
	if err != nil {
		return err
	}
	var answered struct {
		Kind   string          `json:"kind"`
		Status json.RawMessage `json:"status"`
	}
	if json.Unmarshal(a.Body, &answered) != nil || answered.Kind != kind || json.Unmarshal(answered.Status, status) != nil {
		return errForeignAnswer()
	}
	return nil
}

// identity reports which user the client is for the server. Servers before 1.28
// cannot answer that, which is not an error.
func (x *examination) identity(ctx context.Context) {
	var status struct {
		UserInfo struct {
			Username string `json:"username"`
		} `json:"userInfo"`
	}
	if err := x.review(ctx, "authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", nil, &status); err == nil {
		x.Add("identity", nebula.SeverityOK, printable(status.UserInfo.Username), "")
	}
}

// permissions asks for each verb, and names those that are not granted.
func (x *examination) permissions(ctx context.Context) bool {
	const check = "permissions"
	allowed := make([]bool, len(verbs))
	group, groupContext := errgroup.WithContext(ctx)
	for i, verb := range verbs {
		group.Go(func() error {
			var status struct {
				Allowed bool `json:"allowed"`
			}
			err := x.review(groupContext, "authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview",
				map[string]any{"resourceAttributes": map[string]string{"namespace": x.names.namespace, "verb": verb, "resource": "secrets"}}, &status)
			allowed[i] = status.Allowed
			return err
		})
	}
	if err := group.Wait(); hasStatus(err, http.StatusForbidden) && x.Explain(nebula.Name{}, err).Kind == nebula.ErrPermissionDenied {
		x.Add(check, nebula.SeverityWarning, "cannot be examined: the verb create on selfsubjectaccessreviews is not granted",
			"bind the ClusterRole system:basic-user, which everybody has by default")
		return false
	} else if err != nil {
		x.Failed(check, x.Explain(nebula.Name{}, err))
		return false
	}
	whole := true
	for i, verb := range verbs {
		if !allowed[i] && verb == verbWatch {
			refused := x.errForbidden(verb, "secrets")
			x.Add(check, nebula.SeverityWarning, refused.Message+": changes are looked for from time to time", refused.Hint)
		} else if !allowed[i] {
			whole = false
			x.Failed(check, x.errForbidden(verb, "secrets"))
		}
	}
	if whole {
		granted := slices.DeleteFunc(slices.Clone(verbs), func(verb string) bool { return !allowed[slices.Index(verbs, verb)] })
		x.Add(check, nebula.SeverityOK, strings.Join(granted, ", ")+" on secrets in namespace "+x.names.namespace, "")
	}
	return whole
}

// namespace has the server try to make a Secret, without making it: RBAC grants
// rights in namespaces that do not exist.
func (x *examination) namespace(ctx context.Context) {
	const check = "namespace"
	ctx, cancel := context.WithTimeout(ctx, x.config.Timeout)
	defer cancel()
	_, err := x.call(ctx, request{method: http.MethodPost, path: x.secrets(), query: map[string][]string{"dryRun": {"All"}}, accept: acceptMetadata,
		body: secret{APIVersion: "v1", Kind: kindSecret, Type: opaque,
			Metadata: objectMeta{Name: x.config.SecretPrefix + "-doctor", Labels: x.config.DefaultLabels, Annotations: x.config.DefaultAnnotations}},
		verb: "create", resource: "secrets"})
	switch {
	case refusesDryRuns(err):
		x.Add(check, nebula.SeverityWarning, "cannot be examined: an admission webhook of the cluster does not support dry runs", "")
		return
	case err != nil && !isTaken(err):
		x.Failed(check, x.Explain(nebula.Name{}, err))
		return
	}
	x.Add(check, nebula.SeverityOK, x.names.namespace+" takes Secrets", "")
}
