package httpx

import (
	"os"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// maxSecretFile, in bytes, is far more than any token has.
const maxSecretFile = 64 << 10

// ReadSecretFile returns the token or other secret in a file, without the white
// space around it. what names the file in messages: a setting, for example.
// Errors are of kind ErrUnauthenticated and never show the content.
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

// CheckToken fails if a token is empty or cannot be sent in a header. The error
// does not show it.
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
