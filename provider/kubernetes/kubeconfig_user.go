package kubernetes

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// identify chooses the client's identity. If there are several, it always
// presents a certificate, and the first of the others in this order: token
// file, token, password, plugin.
func (u user) identify(a *access, c cluster) error {
	if u.AuthProvider != nil {
		return errors.New("has an auth-provider, which Kubernetes no longer has: use a credential plugin (exec)")
	}
	if u.As == "" && (u.AsUID != "" || len(u.AsGroups) > 0 || len(u.AsUserExtra) > 0) {
		return errors.New("has as-uid, as-groups or as-user-extra without as: they name nobody to act as")
	}
	u.actAs(a)
	token := strings.TrimSpace(u.Token)
	if token != "" && httpx.CheckToken("", token) != nil {
		return errors.New("has a token that holds characters that no token has")
	}
	certificate, err := u.certificate()
	if err != nil {
		return err
	}
	switch {
	case u.TokenFile != "":
		a.credential = tokenFile{path: resolved(u.dir, u.TokenFile), spare: token}
	case token != "":
		a.credential = fixed{bearer(token)}
	case u.Username != "":
		a.credential = basic(u.Username, u.Password)
	case u.Exec != nil && certificate == nil:
		plugin, err := newPlugin(u.Exec, u.dir, c)
		if err != nil {
			return err
		}
		a.credential = plugin
		a.show(plugin.certificate)
	default:
		a.credential = fixed{}
	}
	if certificate != nil {
		certificate.credential = a.credential
		a.credential = certificate
		a.show(certificate.handshake)
	}
	return nil
}

// show makes connections present a certificate.
func (a *access) show(certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) {
	if a.tls == nil {
		a.tls = &tls.Config{}
	}
	a.tls.GetClientCertificate = certificate
}

// certificate returns nil if the user has none.
func (u user) certificate() (*certificateFiles, error) {
	certificate, err := contents(u.dir, u.ClientCertificate, u.ClientCertificateData)
	if err != nil {
		return nil, fmt.Errorf("has a client-certificate that cannot be read: %w", err)
	}
	key, err := contents(u.dir, u.ClientKey, u.ClientKeyData)
	if err != nil {
		return nil, fmt.Errorf("has a client-key that cannot be read: %w", err)
	}
	if certificate == nil && key == nil {
		return nil, nil
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, errors.New("has a client-certificate and a client-key that do not make a pair")
	}
	return &certificateFiles{user: u, pair: &pair, renewed: func() {}}, nil
}

// actAs notes the user to impersonate, which the server has to allow.
func (u user) actAs(a *access) {
	if u.As == "" {
		return
	}
	a.headers = http.Header{"Impersonate-User": {u.As}}
	if u.AsUID != "" {
		a.headers.Set("Impersonate-Uid", u.AsUID)
	}
	if len(u.AsGroups) > 0 {
		a.headers["Impersonate-Group"] = u.AsGroups
	}
	for key, values := range u.AsUserExtra {
		a.headers["Impersonate-Extra-"+escapeHeader(key)] = values
	}
}

// escapeHeader writes a key of extra information as the name of a header: any
// byte that a name cannot have is a % and two hex digits.
func escapeHeader(key string) string {
	var b strings.Builder
	for _, c := range []byte(key) {
		if isAlphanumeric(c) || strings.IndexByte("!#$&'*+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
