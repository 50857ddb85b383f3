package service

import (
	"crypto/tls"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/secretfile"
)

// lookAgain is the shortest time between two examinations of a certificate's
// files.
const lookAgain = time.Second

// Certificate is a certificate and its key in two PEM files, which are read again
// when they change. If the two do not belong together, or cannot be read, the ones
// before stay in use.
type Certificate struct {
	cert, key string
	logger    *slog.Logger

	pair atomic.Pointer[tls.Certificate]

	mu     sync.Mutex
	looked time.Time
	read   [2]fs.FileInfo // what the files were; nil: not there
}

// LoadCertificate reads the certificate, followed by those above it, and the key,
// which only its owner and its group may read. Errors: ErrInvalidConfig,
// ErrPermissionDenied. The logger gets a warning if the files cannot be read
// later. If it is nil, warnings are dropped.
func LoadCertificate(cert, key string, logger *slog.Logger) (*Certificate, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c := &Certificate{cert: cert, key: key, logger: logger, looked: time.Now()}
	c.read = c.examine()
	pair, err := c.load()
	if err != nil {
		return nil, err
	}
	c.pair.Store(pair)
	return c, nil
}

// Expires returns when the certificate ends.
func (c *Certificate) Expires() time.Time { return c.pair.Load().Leaf.NotAfter }

func (c *Certificate) load() (*tls.Certificate, error) {
	cert, err := os.ReadFile(c.cert)
	if err != nil {
		return nil, &nebula.Error{Kind: secretfile.Kind(err), Op: opServe, Message: "the certificate " + c.cert + ": " + atomicfile.Reason(err), Err: err}
	}
	key, err := secretfile.Read("the key of the certificate", c.key, true, 1<<20)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: opServe, Err: err,
			Message: "the certificate " + c.cert + " and the key " + c.key + " cannot be used: " + err.Error(),
			Hint:    "both are files of PEM; the first has the certificate of the service before those above it, the second its key without a passphrase"}
	}
	return &pair, nil
}

// tlsConfig returns the configuration with which TLS is served.
func (c *Certificate) tlsConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c.refresh(time.Now())
		return c.pair.Load(), nil
	}}
}

// refresh reads the files if they have changed. Only one connection does so. The
// others use the certificate that is there.
func (c *Certificate) refresh(now time.Time) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if now.Sub(c.looked) < lookAgain {
		return
	}
	c.looked = now
	// Examine the files before they are read: the next examination finds a
	// change meanwhile.
	found := c.examine()
	if isSame(found[0], c.read[0]) && isSame(found[1], c.read[1]) {
		return
	}
	c.read = found
	pair, err := c.load()
	if err != nil {
		c.logger.Warn("the certificate has changed, and the one before stays in use", "error", err)
		return
	}
	c.pair.Store(pair)
}

func (c *Certificate) examine() (found [2]fs.FileInfo) {
	for i, path := range []string{c.cert, c.key} {
		found[i], _ = os.Stat(path) // a link leads to another file when it changes
	}
	return found
}

func isSame(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}
