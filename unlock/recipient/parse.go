package recipient

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/plugin"
	"filippo.io/age/tag"
	"golang.org/x/crypto/ssh"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
)

const maxList = 1 << 20 // bytes, of a file with recipients

// Normalise checks a recipient and returns it without the white space around it
// and the comment after it. No error shows the text, since it may be an
// identity, which is secret. No plugin is started.
func Normalise(line string) (string, error) {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return "", notRecipient("it is empty", "")
	}
	text := fields[0]
	switch {
	case strings.HasPrefix(text, "ssh-"):
		return normaliseSSH(fields)
	case strings.HasPrefix(text, "AGE-") || strings.HasPrefix(text, "-----"):
		return "", notRecipient("it looks like an identity, which is secret", "give its public part: age-keygen -y FILE, or the line of the .pub file")
	case strings.HasPrefix(text, "github:"):
		return "", notRecipient("keys of a GitHub user are not looked up", "give the lines of https://github.com/USER.keys that you have checked")
	case len(fields) > 1 && !strings.HasPrefix(fields[1], "#"):
		return "", notRecipient("something follows it", "")
	}
	if !slotdata.IsRecipient(text) {
		return "", notRecipient(fmt.Sprintf("it has more than %d characters, or others than ASCII", slotdata.MaxRecipient), "")
	}
	if name := PluginOf(text); name != "" {
		return text, checkPluginRecipient(text, name)
	}
	_, err := parseNative(text)
	return text, err
}

// normaliseSSH keeps type and key of a public key.
func normaliseSSH(fields []string) (string, error) {
	if len(fields) < 2 {
		return "", notRecipient("the key is missing after its type", "")
	}
	public, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(fields[0] + " " + fields[1]))
	if err != nil || len(rest) > 0 {
		return "", notRecipient("it is not the public key of an SSH key", "")
	}
	text := publicText(public)
	if !slotdata.IsRecipient(text) {
		return "", notRecipient(fmt.Sprintf("it has more than %d characters", slotdata.MaxRecipient), "")
	}
	_, err = parseNative(text)
	return text, err
}

// publicText returns a public key in the form of a recipient.
func publicText(public ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

// PluginOf returns the name of the plugin that a recipient needs, or "".
func PluginOf(recipient string) string {
	if !strings.HasPrefix(recipient, "age1") || strings.Count(recipient, "1") < 2 || isTagged(recipient) || strings.HasPrefix(recipient, "age1pq1") {
		return ""
	}
	rest := strings.TrimPrefix(recipient, "age1")
	return rest[:strings.LastIndexByte(rest, '1')]
}

// isTagged reports recipients of hardware keys that need no plugin to seal.
func isTagged(recipient string) bool {
	return strings.HasPrefix(recipient, "age1tag1") || strings.HasPrefix(recipient, "age1tagpq1")
}

func checkPluginRecipient(text, name string) error {
	if parsed, _, err := plugin.ParseRecipient(text); err != nil || parsed != name || !isPluginName(name) {
		return notRecipient("it is mistyped, or of a plugin whose name has other characters than a-z 0-9 and -", "")
	}
	return nil
}

func isPluginName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return 0 < len(name) && len(name) <= 32
}

// parseNative parses a recipient that needs no plugin.
func parseNative(text string) (age.Recipient, error) {
	var r age.Recipient
	var err error
	switch {
	case isTagged(text):
		r, err = tag.ParseRecipient(text)
	case strings.HasPrefix(text, "age1pq1"):
		r, err = age.ParseHybridRecipient(text)
	case strings.HasPrefix(text, "age1"):
		r, err = age.ParseX25519Recipient(text)
	case strings.HasPrefix(text, "ssh-"):
		if r, err = agessh.ParseRecipient(text); err != nil {
			return nil, notRecipient("an SSH key must be ssh-ed25519, or ssh-rsa of 2048 bits or more", "")
		}
	default:
		return nil, notRecipient("it is neither age1… nor the public key of an SSH key", "")
	}
	if err != nil {
		return nil, notRecipient("it is mistyped, or cut", "")
	}
	return r, nil
}

func notRecipient(reason, hint string) error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "that is not a recipient: " + reason, Hint: hint}
}

// ReadList returns the recipients in a file, one in each line. It skips empty
// lines and those that begin with #.
func ReadList(r io.Reader) ([]string, error) {
	var recipients []string
	limited := &io.LimitedReader{R: r, N: maxList + 1}
	scanner := bufio.NewScanner(limited)
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		recipient, err := Normalise(line)
		if err != nil {
			return nil, inLine(n, err)
		}
		recipients = append(recipients, recipient)
	}
	switch {
	case limited.N == 0:
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Message: fmt.Sprintf("the list of recipients has more than %d bytes", maxList)}
	case scanner.Err() != nil:
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Message: "the list of recipients cannot be read: " + scanner.Err().Error(), Err: scanner.Err()}
	}
	return recipients, nil
}

func inLine(n int, err error) error {
	e, ok := err.(*nebula.Error)
	if !ok {
		return err
	}
	located := *e
	located.Message = "line " + strconv.Itoa(n) + ": " + e.Message
	return &located
}

// maxQuoted is how much is shown of a text of others, in bytes.
const maxQuoted = 120

// quote shows text of others, control characters escaped.
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.QuoteToASCII(s[:maxQuoted]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

func quoteAll(list []string) string {
	var quoted []string
	for _, s := range list {
		quoted = append(quoted, quote(s))
	}
	return strings.Join(quoted, ", ")
}
