package nebula

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// whyUnreadable tells a record of another version from a damaged one. It
// accepts any JSON object, since the layout of another version is not known.
func whyUnreadable(name Name, data []byte) error {
	var damaged error = &Error{Kind: ErrCorrupted, ID: name.ID(), Message: "the record is damaged",
		Hint: "restore it from a backup, or put the value again"}
	if name.IsKeyring() {
		damaged = damagedKeyring("the record is damaged", nil)
	}
	if !utf8.Valid(data) || !json.Valid(data) {
		return damaged
	}
	file, ok := soleMember(data, "version")
	sealed, ok2 := soleMember(data, "encrypted_data")
	if !ok || !ok2 {
		return damaged
	}
	version, ok := soleMember(sealed, "version")
	if !ok || !isPositive(file) || !isPositive(version) {
		return damaged
	}
	switch {
	case string(file) != "1":
		return &Error{Kind: ErrUnsupportedVersion, ID: name.ID(), Message: "the record is of file version " + short(file),
			Hint: "it was written by a newer nebula: use that one"}
	case string(version) == "1":
		return &Error{Kind: ErrUnsupportedVersion, ID: name.ID(),
			Message: "the record is sealed by version 1, which does not authenticate id and metadata",
			Hint:    "move it to a directory of its own, and take it over with: nebula migrate DIR"}
	case string(version) != "2":
		return &Error{Kind: ErrUnsupportedVersion, ID: name.ID(), Message: "the record is sealed by version " + short(version),
			Hint: "it was written by a newer nebula: use that one"}
	}
	return damaged
}

// soleMember returns the value of the object's member of that name, if there is
// exactly one. The object is valid JSON. It may be large, so nothing is copied.
func soleMember(object []byte, name string) (value []byte, ok bool) {
	at := skipSpace(object, 0)
	if object[at] != '{' {
		return nil, false
	}
	count := 0
	for at = skipSpace(object, at+1); object[at] != '}'; {
		if object[at] == ',' {
			at = skipSpace(object, at+1)
		}
		end := skipString(object, at)
		var key string
		if json.Unmarshal(object[at:end], &key) != nil {
			return nil, false
		}
		at = skipSpace(object, skipSpace(object, end)+1) // over the colon
		end = skipValue(object, at)
		if key == name {
			value = object[at:end]
			count++
		}
		at = skipSpace(object, end)
	}
	return value, count == 1
}

// The places after white space, a string and a value that begin at a place in
// valid JSON.

func skipSpace(text []byte, at int) int {
	for strings.IndexByte(" \t\r\n", text[at]) >= 0 {
		at++
	}
	return at
}

func skipString(text []byte, at int) int {
	for at++; text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at + 1
}

func skipValue(text []byte, at int) int {
	for depth := 0; ; {
		switch text[at] {
		case '"':
			at = skipString(text, at)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		default:
			at++
		}
		if depth == 0 && (at == len(text) || strings.IndexByte(",}] \t\r\n:", text[at]) >= 0) {
			return at
		}
	}
}

// isPositive reports whether a JSON value is an integer of 1 or more.
func isPositive(value []byte) bool {
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
	}
	return value[0] != '0'
}

func short(value []byte) string {
	const maxShown = 12
	if len(value) > maxShown {
		return string(value[:maxShown]) + "…"
	}
	return string(value)
}
