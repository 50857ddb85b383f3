package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// files are those of one server: they stay, so that clients trust it and it
// knows them after a restart.
type files struct{ dir string }

func (f files) in(name string) string    { return filepath.Join(f.dir, name) }
func (f files) ca() string               { return f.in("ca.pem") }
func (f files) certificate() string      { return f.in("server.pem") }
func (f files) key() string              { return f.in("server-key.pem") }
func (f files) adminCertificate() string { return f.in("admin.pem") }
func (f files) adminKey() string         { return f.in("admin-key.pem") }
func (f files) accountKey() string       { return f.in("service-account-key.pem") }
func (f files) tokens() string           { return f.in("tokens.csv") }
func (f files) kubeconfig() string       { return f.in("kubeconfig") }

// admin is in the group that may do everything, past RBAC.
var admin = pkix.Name{CommonName: "nebula-test-admin", Organization: []string{"system:masters"}}

// prepare makes what is missing in the directory.
func prepare(dir string) (files, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return files{}, err
	}
	f := files{dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, err
	}
	if _, err := os.Stat(f.tokens()); err == nil {
		return f, nil
	}
	return f, f.make()
}

// make makes all of them but the kubeconfig, the one that says that they are
// complete last.
func (f files) make() error {
	authority, err := newAuthority(f.ca())
	if err != nil {
		return err
	}
	err = authority.issue(f.certificate(), f.key(), &x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return err
	}
	err = authority.issue(f.adminCertificate(), f.adminKey(), &x509.Certificate{
		Subject: admin, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	if _, err := newKey(f.accountKey()); err != nil {
		return err
	}
	line := fmt.Sprintf("%s,%s,1,%s\n", rand.Text(), admin.CommonName, admin.Organization[0])
	return os.WriteFile(f.tokens(), []byte(line), 0o600)
}

// token is the admin's.
func (f files) token() (string, error) {
	line, err := os.ReadFile(f.tokens())
	token, _, found := bytes.Cut(line, []byte(","))
	if err == nil && !found {
		err = errors.New(f.tokens() + " has no token")
	}
	return string(token), err
}

// writeKubeconfig writes the admin's. JSON is YAML too.
func (f files) writeKubeconfig(address string) error {
	const name = "nebula-test"
	data, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": name,
		"clusters": []any{map[string]any{"name": name, "cluster": map[string]any{
			"server": address, "certificate-authority": f.ca()}}},
		"users": []any{map[string]any{"name": name, "user": map[string]any{
			"client-certificate": f.adminCertificate(), "client-key": f.adminKey()}}},
		"contexts": []any{map[string]any{"name": name, "context": map[string]any{"cluster": name, "user": name}}},
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(f.kubeconfig(), append(data, '\n'), 0o600)
}

// authority is a CA whose key is forgotten when all is issued.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	issued      int64
}

func newAuthority(path string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	certificate := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nebula test CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, certificate, certificate, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, key, 1}, writePEM(path, "CERTIFICATE", der)
}

// issue writes a certificate as the template says, and its key.
func (a *authority) issue(certPath, keyPath string, template *x509.Certificate) error {
	key, err := newKey(keyPath)
	if err != nil {
		return err
	}
	a.issued++
	template.SerialNumber = big.NewInt(a.issued)
	template.NotBefore, template.NotAfter = a.certificate.NotBefore, a.certificate.NotAfter
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writePEM(certPath, "CERTIFICATE", der)
}

// newKey writes a key in the one form that kube-apiserver reads as a public key
// of service accounts too.
func newKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
