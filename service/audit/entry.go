package audit

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nebula-credential/nebula/service/token"
)

// Entry is a request with a valid token. Empty fields are left out, and fields
// longer than 256 bytes are cut.
type Entry struct {
	Time    time.Time
	Request string     // its id
	Token   string     // its name
	Verb    token.Verb // that the request needs
	Method  string
	ID      string // of the credential
	Outcome string // "ok", or the kind of the error
	Version string // of the credential
	Address string // of the caller
}

// maxText is the limit of a text in a line, in bytes. No name or id is that long,
// but a client can send anything in the place of an id.
const maxText = 256

func (e *Entry) append(b []byte) []byte {
	b = appendTime(append(b, `{"time":"`...), e.Time)
	for _, member := range [...]struct{ name, value string }{
		{"request", e.Request}, {"token", e.Token}, {"verb", string(e.Verb)}, {"method", e.Method}, {"id", e.ID},
		{"outcome", e.Outcome}, {"version", e.Version}, {"address", e.Address},
	} {
		if member.value != "" {
			b = appendMember(b, member.name, member.value)
		}
	}
	return append(b, "}\n"...)
}

func appendTime(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z"), '"')
}

func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(appendText(b, value), '"')
}

// appendText appends the part between the quotes of a JSON string. Only visible
// characters stand for themselves: others could end the line, or change what a
// terminal shows.
func appendText(b []byte, s string) []byte {
	end := len(b) + maxText
	for i, r := range s {
		if len(b) >= end {
			return append(b, "…"...)
		}
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case ' ' <= r && r < utf8.RuneSelf-1:
			b = append(b, byte(r))
		case r == utf8.RuneError && s[i] != "\uFFFD"[0]: // a byte that is no character
			b = append(b, `\ufffd`...)
		case r > utf8.RuneSelf && unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			r -= 0x10000
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}

// gap is the line that says how many lines are missing before it.
func gap(t time.Time, lost int) []byte {
	b := appendTime([]byte("\n{\"time\":\""), t)
	return fmt.Appendf(b, `,"outcome":"audit_failed","lost":%d}`+"\n", lost)
}

// refused is the line for an address from which requests without a valid token
// came.
func refused(t, since time.Time, address string, count int) []byte {
	b := appendTime([]byte("\n{\"time\":\""), t)
	b = appendMember(appendMember(b, "outcome", "unauthenticated"), "address", address)
	b = appendTime(append(b, `,"since":"`...), since)
	return fmt.Appendf(b, `,"count":%d}`+"\n", count)
}
