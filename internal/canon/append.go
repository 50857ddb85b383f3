// Package canon writes and reads the canonical JSON of records. Each value has
// one encoding, so a record is valid only if its bytes are exactly the encoding
// of its fields.
//
// The reader does not parse JSON in general. It follows the one valid form and
// fails at the first byte that differs. encoding/json accepts duplicate and
// case-variant names, its base64 skips newlines and its times accept a comma.
// Each of these would give one record several encodings.
package canon

import (
	"encoding/base64"
	"strconv"
	"time"
)

// AppendString appends s in quotes. Only " and \ are escaped; s must be valid
// UTF-8 without control characters.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// AppendBase64 appends b in quotes as padded standard base64.
func AppendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// AppendUint appends n in decimal.
func AppendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

// AppendTime appends t, without quotes, as YYYY-MM-DDTHH:MM:SS, a fraction of
// 0, 3, 6 or 9 digits, the fewest that hold it, and Z.
func AppendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	dst = t.AppendFormat(dst, "2006-01-02T15:04:05")
	if ns := t.Nanosecond(); ns != 0 {
		digits := [...]byte{'.', '0', '0', '0', '0', '0', '0', '0', '0', '0'}
		for i := 9; i > 0; i-- {
			digits[i] = '0' + byte(ns%10)
			ns /= 10
		}
		n := len(digits)
		for n > 4 && string(digits[n-3:n]) == "000" {
			n -= 3
		}
		dst = append(dst, digits[:n]...)
	}
	return append(dst, 'Z')
}
