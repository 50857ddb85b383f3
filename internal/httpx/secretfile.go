package httpx

import (
	"os"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// maxSecretFile is far more than any token takes, in bytes.
const maxSecretFile = 64 << 10

// ReadSecretFile returns the token or the like that a file holds, without the
// white space around it. What names the file in messages, a setting for
// example. Errors are of kind ErrUnauthenticated and never show what it holds.
func ReadSecretFile(what, path string) (string, error) {
	subject := what + " " + strconv.Quote(path)
	file, err := os.Open(path)
	if err != nil {
		return "", &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: subject + ": " + atomicfile.Reason(err), Err: err}
	}
	defer file.Close()
	data, err := ReadAll(file, maxSecretFile)
	if err != nil {
		return "", &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: subject + " cannot be read: " + atomicfile.Reason(err), Err: err}
	}
	secret := strings.TrimSpace(string(data))
	return secret, CheckToken(subject, secret)
}

// CheckToken refuses what is no token: nothing at all, and what cannot be sent
// in a header.
func CheckToken(what, token string) error {
	if token == "" {
		return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: what + " is empty"}
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: what + " holds characters that no token has"}
		}
	}
	return nil
}
