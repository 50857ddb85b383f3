package main

import (
	"bytes"
	"crypto/sha256"
	"strings"
)

func fileKey() []byte { return random("key file", 32) }

func keyFileText(key []byte) string {
	sum := sha256.Sum256(append([]byte("nebula/2/key-file\x00"), key...))
	return "nebula-key-1:" + hexed(key) + ":" + hexed(sum[:4]) + "\n"
}

func (s *suite) keyFiles() {
	const class, kind = "key file", "key file"
	ok := func(name, text string, key []byte) {
		s.add(vector{Name: name, Class: class, Kind: kind, Expect: "ok", KeyFile: &text, Key: hexed(key)})
	}
	bad := func(name, text string) {
		s.add(vector{Name: name, Class: class, Kind: kind, Expect: "invalid_config", KeyFile: &text})
	}
	text := keyFileText(fileKey())
	line := strings.TrimSuffix(text, "\n")
	ok("LF at the end", text, fileKey())
	ok("CRLF at the end", line+"\r\n", fileKey())
	ok("nothing at the end", line, fileKey())
	ok("a key of zeros", keyFileText(make([]byte, 32)), make([]byte, 32))
	ok("a key of ones", keyFileText(bytes.Repeat([]byte{0xff}, 32)), bytes.Repeat([]byte{0xff}, 32))

	key, sum := line[13:77], line[78:]
	plainSum := sha256.Sum256(fileKey())
	textSum := sha256.Sum256([]byte(key))
	for _, c := range [][2]string{
		{"empty", ""}, {"a newline alone", "\n"}, {"the prefix alone", "nebula-key-1:"}, {"the key alone", key + "\n"},
		{"without prefix", key + ":" + sum + "\n"}, {"without sum", "nebula-key-1:" + key + "\n"}, {"with an empty sum", "nebula-key-1:" + key + ":\n"},
		{"another version", strings.Replace(text, "-1:", "-2:", 1)}, {"prefix in upper case", strings.ToUpper(text[:13]) + text[13:]},
		{"key in upper case", "nebula-key-1:" + strings.ToUpper(key) + ":" + sum + "\n"},
		{"sum in upper case", "nebula-key-1:" + key + ":" + strings.ToUpper("abcdef01") + "\n"},
		{"a digit of the key changed", "nebula-key-1:" + changed(key) + ":" + sum + "\n"},
		{"a digit of the sum changed", "nebula-key-1:" + key + ":" + changed(sum) + "\n"},
		{"two digits exchanged", "nebula-key-1:" + exchanged(key) + ":" + sum + "\n"},
		{"sum of the key without its label", "nebula-key-1:" + key + ":" + hexed(plainSum[:4]) + "\n"},
		{"sum of the digits", "nebula-key-1:" + key + ":" + hexed(textSum[:4]) + "\n"},
		{"key a digit short", "nebula-key-1:" + key[1:] + ":" + sum + "\n"}, {"key a digit long", "nebula-key-1:0" + key + ":" + sum + "\n"},
		{"key of 31 bytes", keyFileText(fileKey()[:31])}, {"key of 33 bytes", keyFileText(append(fileKey(), 0))},
		{"sum a digit short", line[:len(line)-1] + "\n"}, {"sum a digit long", line + "0\n"},
		{"a letter that is no digit", "nebula-key-1:g" + key[1:] + ":" + sum + "\n"},
		{"two newlines", text + "\n"}, {"CR alone at the end", line + "\r"}, {"LFCR at the end", line + "\n\r"}, {"CRCRLF at the end", line + "\r\r\n"},
		{"CRLF twice", line + "\r\n\r\n"}, {"newline before", "\n" + text}, {"space before", " " + text}, {"space at the end", line + " \n"},
		{"space behind the newline", text + " "}, {"tab at the end", line + "\t"}, {"NUL at the end", line + "\x00"}, {"byte order mark", "\ufeff" + text},
		{"space within", strings.Replace(text, ":", ": ", 1)}, {"newline within", text[:40] + "\n" + text[40:]}, {"two keys", text + text},
		{"a comment behind", text + "# mine\n"}, {"in quotes", `"` + line + `"`}, {"another separator", strings.Replace(text, ":"+sum, "-"+sum, 1)},
		{"0x before the key", "nebula-key-1:0x" + key + ":" + sum + "\n"}, {"full-width digits", "nebula-key-1:\uff11" + key[1:] + ":" + sum + "\n"},
		{"UTF-16", strings.Join(strings.Split(text, ""), "\x00") + "\x00"}, {"truncated", text[:50]},
	} {
		bad(c[0], c[1])
	}
}

// changed returns the text with another first digit.
func changed(hex string) string {
	if hex[0] == '0' {
		return "1" + hex[1:]
	}
	return "0" + hex[1:]
}

// exchanged returns the text with the first two different neighbours exchanged.
func exchanged(hex string) string {
	for i := 1; ; i++ {
		if hex[i] != hex[i-1] {
			return hex[:i-1] + hex[i:i+1] + hex[i-1:i] + hex[i+1:]
		}
	}
}
