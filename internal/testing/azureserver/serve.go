package azureserver

import (
	"net/http"
	"regexp"
)

// serviceVersion is the one in the newest recording.
const serviceVersion = "1.9.3449.1"

// apiVersion matches versions of the API. The server answers alike for all.
var apiVersion = regexp.MustCompile(`^(7\.\d|20\d\d-\d\d-\d\d)(-preview(\.\d+)?)?$`)

// serve answers a request to the vault, in the service's order: the token first,
// permissions before existence.
func (v *Vault) serve(x *exchange) {
	h := x.w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("Strict-Transport-Security", "max-age=31536000;includeSubDomains")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("x-ms-keyvault-region", "westeurope")
	h.Set("x-ms-keyvault-service-version", serviceVersion)
	h.Set("x-ms-keyvault-network-info", "conn_type=Ipv4;addr=203.0.113.7;act_addr_fam=InterNetwork;")
	h.Set("x-ms-request-id", guid())
	if id := x.r.Header.Get("x-ms-client-request-id"); id != "" {
		h.Set("x-ms-client-request-id", id)
	}
	t, wrong := parse(x.r)
	x.entry.Operation, x.entry.Name = t.op, t.name
	if e := x.server.logins.check(x.r); e != nil {
		h.Set("WWW-Authenticate", v.challengeHeader())
		x.fail(e)
		return
	}
	if x.hit(v) {
		return
	}
	if t.op != "" && !v.allows(t.op) {
		x.refuse(ForbiddenByRbac(t.op), v)
		return
	}
	if wrong == nil && !apiVersion.MatchString(x.r.URL.Query().Get("api-version")) {
		wrong = badParameter("The api-version is missing or not known.")
	}
	if wrong != nil {
		x.fail(wrong)
		return
	}
	status, body, e := v.do(x, t)
	if e != nil {
		x.fail(e)
		return
	}
	x.answer(status, body)
}

func (v *Vault) challengeHeader() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.challenge != "" {
		return v.challenge
	}
	return `Bearer authorization="https://` + loginHost + "/" + TenantID + `", resource="` + resource + `"`
}

// do carries out the operation.
func (v *Vault) do(x *exchange, t target) (int, any, *apiError) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t.of == ofKeys {
		return v.doKey(t, x.body)
	}
	var body any
	var e *apiError
	switch t.op {
	case SetSecret:
		body, e = v.set(t, x.body)
	case GetSecret:
		body, e = v.get(t, x.r.URL.Query().Get("outContentType"))
	case UpdateSecret:
		body, e = v.update(t, x.body)
	case DeleteSecret:
		body, e = v.delete(t)
	case GetDeletedSecret:
		body, e = v.getDeleted(t)
	case RecoverSecret:
		body, e = v.recover(t)
	case PurgeSecret:
		return http.StatusNoContent, nil, v.purgeSecret(t)
	case BackupSecret:
		body, e = v.backup(t)
	case RestoreSecret:
		body, e = v.restore(t, x.body)
	default:
		body, e = v.list(t, x.r.URL.Query())
	}
	return http.StatusOK, body, e
}
