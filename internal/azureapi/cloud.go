package azureapi

import (
	"errors"
	"strings"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// cloud is one of Azure's clouds: it has the suffix of its vaults, and the
// server that gives tokens for them.
type cloud struct {
	suffix   string // of the host of a vault
	login    string // host that gives tokens
	resource string // that tokens are for
}

func clouds() []cloud {
	return []cloud{
		{".vault.azure.net", "login.microsoftonline.com", "https://vault.azure.net"},
		{".vault.azure.cn", "login.chinacloudapi.cn", "https://vault.azure.cn"},
		{".vault.usgovcloudapi.net", "login.microsoftonline.us", "https://vault.usgovcloudapi.net"},
		{".vault.microsoftazure.de", "login.microsoftonline.de", "https://vault.microsoftazure.de"},
	}
}

// CheckURL says why an address is not that of a vault. Tokens go to its host, so
// it must be one of Azure's.
func CheckURL(text string) error {
	_, _, err := parseURL(text)
	return err
}

// parseURL returns the host of a vault in lower case, and its cloud.
func parseURL(text string) (host string, in cloud, err error) {
	u, err := httpx.ParseAddress(text)
	if err != nil {
		return "", cloud{}, err
	}
	host = strings.ToLower(u.Hostname())
	switch {
	case u.Scheme != "https":
		return "", cloud{}, errors.New("must begin with https://")
	case u.Path != "":
		return "", cloud{}, errors.New("has a path, which a vault has not")
	case u.Port() != "" && u.Port() != "443":
		return "", cloud{}, errors.New("has a port, which a vault has not")
	}
	var suffixes []string
	for _, c := range clouds() {
		if name, ok := strings.CutSuffix(host, c.suffix); ok && name != "" && IsName(name) {
			return host, c, nil
		}
		suffixes = append(suffixes, "https://NAME"+c.suffix)
	}
	return "", cloud{}, errors.New("must be one of " + strings.Join(suffixes, ", "))
}

// IsName reports whether the name of a vault, or of an object in one, may
// consist of these characters.
func IsName(s string) bool {
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-') {
			return false
		}
	}
	return true
}
