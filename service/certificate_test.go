package service

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/authority"
)

// pair writes a certificate for 127.0.0.1 from a new authority, and its key. It returns
// the authority, which a client must trust.
func pair(t testing.TB, cert, key string) *x509.CertPool {
	t.Helper()
	a, err := authority.New("test")
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		replace(t, path, pem.EncodeToMemory(block))
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.PEM())
	return pool
}

// replace replaces a file, as renewals do.
func replace(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func clientOf(pool *x509.CertPool) *http.Client {
	return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

func certified(t *testing.T) (*Certificate, *http.Client) {
	t.Helper()
	cert, key := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	pool := pair(t, cert, key)
	c, err := LoadCertificate(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := clientOf(pool)
	t.Cleanup(client.CloseIdleConnections)
	return c, client
}

// The service speaks TLS 1.3 and HTTP/2, nothing older, and no cleartext.
func TestTLS(t *testing.T) {
	certificate, client := certified(t)
	l, _ := serving(t, loopback, certificate, &Server{Handler: ok()})
	response, err := client.Get(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.TLS.Version != tls.VersionTLS13 || response.ProtoMajor != 2 {
		t.Errorf("%s over %s", response.Proto, tls.VersionName(response.TLS.Version))
	}
	one := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: client.Transport.(*http.Transport).TLSClientConfig.RootCAs}}}
	defer one.CloseIdleConnections()
	one.Transport.(*http.Transport).Protocols = new(http.Protocols)
	one.Transport.(*http.Transport).Protocols.SetHTTP1(true)
	if response, err := one.Get(l.URL()); err != nil || response.ProtoMajor != 1 || response.Body.Close() != nil {
		t.Errorf("HTTP/1.1: %v", err)
	}
	old := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	old.MaxVersion = tls.VersionTLS12
	if conn, err := tls.Dial("tcp", l.Addr().String(), old); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v, %v", conn, err)
	}
	clear, err := http.Get(strings.Replace(l.URL(), "https:", "http:", 1))
	if err == nil {
		_ = clear.Body.Close()
		if clear.StatusCode != http.StatusBadRequest {
			t.Errorf("cleartext is answered with %s", clear.Status)
		}
	}
}

// The certificate is replaced again and again while requests run, and its key a moment
// later. Every request is answered, and each new connection gets a certificate with its
// key.
func TestRotationUnderLoad(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	first := pair(t, cert, key)
	var log Log
	c, err := LoadCertificate(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	l, _ := serving(t, loopback, c, &Server{Handler: ok()})
	var served atomic.Int64
	var load sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				// The authority is checked below.
				client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
				if got, err := get(client, l.URL()); got != "200 OK ok" {
					t.Errorf("%q, %v", got, err)
				}
				served.Add(1)
			}
		})
	}
	last := first
	for range 4 {
		before := served.Load()
		last = pair(t, cert, key)
		for wait := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			client := clientOf(last)
			got, err := get(client, l.URL())
			client.CloseIdleConnections()
			if got == "200 OK ok" && served.Load() > before {
				break
			}
			if time.Now().After(wait) {
				t.Fatalf("the new certificate is not used: %v", err)
			}
		}
	}
	close(stop)
	load.Wait()
	if got, err := get(clientOf(first), l.URL()); err == nil {
		t.Errorf("the first certificate is still used: %s", got)
	}
}

// If the files cannot be used, the last certificate stays in use, with one warning.
func TestBrokenCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	pair(t, cert, key)
	good, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(){
		"half of it":         func() { replace(t, cert, good[:len(good)/2]) },
		"of another key":     func() { pair(t, cert, filepath.Join(dir, "other.key")) },
		"gone":               func() { _ = os.Remove(cert) },
		"open to others":     func() { _ = os.Chmod(key, 0o644) },
		"empty key":          func() { replace(t, key, nil) },
		"certificate as key": func() { replace(t, key, good) },
	} {
		t.Run(name, func(t *testing.T) {
			pair(t, cert, key)
			var log Log
			c, err := LoadCertificate(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			before := c.pair.Load()
			spoil()
			now := time.Now()
			for i := range 5 {
				c.refresh(now.Add(time.Duration(i+1) * 2 * time.Second))
			}
			if c.pair.Load() != before {
				t.Error("the certificate in use has changed")
			}
			if got := strings.Count(log.String(), "level=WARN"); got != 1 || strings.Contains(log.String(), "PRIVATE") {
				t.Errorf("%d warnings: %s", got, log.String())
			}
			pair(t, cert, key)
			c.refresh(now.Add(time.Minute))
			if c.pair.Load() == before {
				t.Error("the next certificate is not used")
			}
		})
	}
}

// The files are checked at most once a second, and read only if they have changed.
func TestRefreshIsRare(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	pair(t, cert, key)
	c, err := LoadCertificate(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := c.pair.Load()
	c.refresh(time.Now().Add(time.Hour))
	if c.pair.Load() != before {
		t.Error("the same files were read again")
	}
	pair(t, cert, key)
	c.refresh(time.Now().Add(time.Hour).Add(lookAgain / 2))
	if c.pair.Load() != before {
		t.Error("the files were checked again within a second")
	}
	c.refresh(time.Now().Add(2 * time.Hour))
	if c.pair.Load() == before {
		t.Error("the new files were not read")
	}
}

func TestLoadCertificateFails(t *testing.T) {
	dir := t.TempDir()
	cert, key, missing := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "missing")
	pair(t, cert, key)
	for name, test := range map[string]struct {
		cert, key string
		want      string
	}{
		"no certificate": {missing, key, "the certificate " + missing},
		"no key":         {cert, missing, "the key of the certificate " + missing},
		"exchanged":      {key, cert, "cannot be used"},
	} {
		_, err := LoadCertificate(test.cert, test.key, nil)
		if nebula.KindOf(err) != nebula.ErrInvalidConfig || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
