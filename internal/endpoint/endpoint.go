// Package endpoint reads where a server is to listen.
package endpoint

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula/internal/unixsocket"
)

// Endpoint is a Unix socket, or an address of TCP.
type Endpoint struct {
	Path string // of the Unix socket; "" for TCP
	Host string // "" is every address of the machine
	Port uint16 // 0 is one that the system chooses
}

// unixPrefix begins the text of a Unix socket.
const unixPrefix = "unix:"

// Unix returns the endpoint of a Unix socket.
func Unix(path string) Endpoint { return Endpoint{Path: path} }

// Parse reads unix:PATH, with an absolute path, or HOST:PORT.
func Parse(text string) (Endpoint, error) {
	if path, ok := strings.CutPrefix(text, unixPrefix); ok {
		switch {
		case !filepath.IsAbs(path):
			return Endpoint{}, errors.New("must be unix: and an absolute path")
		case len(path) > unixsocket.MaxPath:
			return Endpoint{}, errors.New("must be unix: and a path of at most " + strconv.Itoa(unixsocket.MaxPath) + " bytes")
		}
		return Unix(path), nil
	}
	host, number, err := net.SplitHostPort(text)
	port, wrong := strconv.ParseUint(number, 10, 16)
	if err != nil || wrong != nil || strings.ContainsAny(host, "/ ") {
		return Endpoint{}, errors.New("must be unix:PATH or HOST:PORT, such as 127.0.0.1:8200")
	}
	return Endpoint{Host: host, Port: uint16(port)}, nil
}

// String returns the endpoint as [Parse] reads it.
func (e Endpoint) String() string {
	if e.IsUnix() {
		return unixPrefix + e.Path
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

// IsUnix reports whether it is a Unix socket.
func (e Endpoint) IsUnix() bool { return e.Path != "" }

// IsEverywhere reports whether it is every address of the machine.
func (e Endpoint) IsEverywhere() bool {
	ip, err := netip.ParseAddr(e.Host)
	return !e.IsUnix() && (e.Host == "" || err == nil && ip.IsUnspecified())
}
