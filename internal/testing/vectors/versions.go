package main

import (
	"fmt"
	"strings"
)

// versions adds records of versions that this one cannot read. Their layout is not
// known: any JSON object with the two numbers will do.
func (s *suite) versions() {
	const class = "version"
	r := base().object()
	newer := func(name, text string) { s.wrong(class, name, baseID, text, unsupported) }
	for _, v := range []string{"2", "3", "9", "10", "4294967296", "4294967297", "18446744073709551617", strings.Repeat("9", 400)} {
		newer(fmt.Sprintf("file version %.24s", v), r.with("version", v).text())
	}
	for _, v := range []string{"1", "3", "10", "20", "4294967296", "4294967298", "18446744073709551618", strings.Repeat("9", 400)} {
		newer(fmt.Sprintf("data version %.24s", v), r.with("encrypted_data.version", v).text())
	}
	newer("both newer", r.with("version", "2").with("encrypted_data.version", "3").text())
	newer("newer file of data version 1", r.with("version", "2").with("encrypted_data.version", "1").text())

	const rust = `{"version":1,"encrypted_data":{"version":1,"nonce":[1,2,3,4,5,6,7,8,9,10,11,12],"ciphertext":[200,17,0,255],` +
		`"tag":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]},"metadata":{"created_at":"2026-01-02T03:04:05.123456789Z",` +
		`"last_modified":"2026-01-02T03:04:05.123456789Z","last_accessed":null,"created_by":"","scope":null,"rotation_policy":null,"tags":{}},"salt":null}`
	newer("version 1, bytes as numbers", rust)
	newer("version 1, printed over lines", strings.NewReplacer(",", ",\n  ", ":", ": ", "{", "{\n  ", "}", "\n}").Replace(rust)+"\n")
	newer("version 1, bytes as base64", `{"version":1,"encrypted_data":{"version":1,"nonce":"AAAAAAAAAAAAAAAA","ciphertext":"","tag":"AAAAAAAAAAAAAAAAAAAAAA=="}}`)

	for _, c := range [][2]string{
		{"the least", `{"version":2,"encrypted_data":{"version":2}}`},
		{"the least of version 1", `{"version":1,"encrypted_data":{"version":1}}`},
		{"space of every kind", "\t\r\n { \"version\" : 2 , \"encrypted_data\" : { \"version\" : 2 } } \t\r\n"},
		{"other order", `{"encrypted_data":{"a":[{"version":9}],"version":3},"x":{},"version":1}`},
		{"other members", `{"version":2,"shards":[1,2.5e-3,null,true,"\u00e9\ud83d\ude00"],"encrypted_data":{"version":7,"blob":""},"meta":{"a":{"b":{}}}}`},
		{"versions in other places", `{"version":2,"meta":{"version":"x","encrypted_data":1},"encrypted_data":{"version":3,"inner":{"version":0}}}`},
		{"other members twice", `{"version":2,"a":1,"a":2,"encrypted_data":{"version":2,"b":1,"b":1}}`},
		{"names in another case besides", `{"version":2,"Version":"x","encrypted_data":{"version":2,"VERSION":null},"Encrypted_Data":0}`},
		{"names escaped", `{"\u0076ersion":2,"encrypted\u005fdata":{"v\u0065rsion":2}}`},
		{"a lone surrogate, escaped", `{"version":2,"x":"\ud800","encrypted_data":{"version":2}}`},
		{"an empty name", `{"":0,"version":1,"encrypted_data":{"":0,"version":3}}`},
		{"nested 100 deep", `{"version":2,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,"encrypted_data":{"version":2}}`},
	} {
		newer(c[0], c[1])
	}
}

// firstPass adds records that are damaged by the rules of the first pass, which comes
// before the comparison of versions.
func (s *suite) firstPass() {
	const class = "first pass"
	for _, c := range [][2]string{
		{"version twice", `{"version":2,"version":2,"encrypted_data":{"version":2}}`},
		{"version twice, at the ends", `{"version":1,"encrypted_data":{"version":3},"version":1}`},
		{"version twice, once escaped", `{"version":2,"\u0076ersion":2,"encrypted_data":{"version":2}}`},
		{"version twice, both escaped", `{"vers\u0069on":2,"\u0076ersion":3,"encrypted_data":{"version":2}}`},
		{"version missing", `{"encrypted_data":{"version":3}}`},
		{"version in another case", `{"Version":2,"encrypted_data":{"version":2}}`},
		{"version a float", `{"version":2.0,"encrypted_data":{"version":2}}`},
		{"version with an exponent", `{"version":2e0,"encrypted_data":{"version":2}}`},
		{"version a great exponent", `{"version":1e400,"encrypted_data":{"version":2}}`},
		{"version 0", `{"version":0,"encrypted_data":{"version":3}}`},
		{"version negative", `{"version":-2,"encrypted_data":{"version":2}}`},
		{"version negative zero", `{"version":-0,"encrypted_data":{"version":3}}`},
		{"version with a leading zero", `{"version":02,"encrypted_data":{"version":2}}`},
		{"version a string", `{"version":"2","encrypted_data":{"version":2}}`},
		{"version null", `{"version":null,"encrypted_data":{"version":3}}`},
		{"version true", `{"version":true,"encrypted_data":{"version":3}}`},
		{"version an array", `{"version":[2],"encrypted_data":{"version":3}}`},
		{"version an object", `{"version":{"version":2},"encrypted_data":{"version":3}}`},
		{"encrypted_data missing", `{"version":2}`},
		{"encrypted_data twice", `{"version":2,"encrypted_data":{"version":2},"encrypted_data":{"version":2}}`},
		{"encrypted_data twice, once null", `{"version":2,"encrypted_data":{"version":2},"encrypted_data":null}`},
		{"encrypted_data twice, once escaped", `{"version":2,"encrypted_data":{"version":2},"encrypted\u005fdata":{}}`},
		{"encrypted_data null", `{"version":2,"encrypted_data":null}`},
		{"encrypted_data an array", `{"version":2,"encrypted_data":[{"version":3}]}`},
		{"encrypted_data an array of a name", `{"version":2,"encrypted_data":["version",3]}`},
		{"encrypted_data a string", `{"version":2,"encrypted_data":"{\"version\":3}"}`},
		{"encrypted_data a number", `{"version":2,"encrypted_data":3}`},
		{"file version 2, data version missing", `{"version":2,"encrypted_data":{}}`},
		{"file version 2, data version 0", `{"version":2,"encrypted_data":{"version":0}}`},
		{"file version 2, data version a string", `{"version":2,"encrypted_data":{"version":"2"}}`},
		{"file version 2, data version a float", `{"version":2,"encrypted_data":{"version":2.5}}`},
		{"data version twice", `{"version":1,"encrypted_data":{"version":3,"version":3}}`},
		{"data version twice, once escaped", `{"version":1,"encrypted_data":{"version":3,"\u0076ersion":3}}`},
		{"data version null", `{"version":1,"encrypted_data":{"version":null}}`},
		{"data version negative", `{"version":1,"encrypted_data":{"version":-3}}`},
		{"data version nested", `{"version":1,"encrypted_data":{"x":{"version":3}}}`},
		{"an array", `[{"version":2,"encrypted_data":{"version":2}}]`},
		{"an array of names", `["version",2,"encrypted_data",{"version":2}]`},
		{"a string", `"version"`}, {"a number", `2`}, {"null", `null`}, {"space alone", " \n"}, {"not JSON", `version: 2`},
		{"an object of nothing", `{}`},
		{"a byte order mark", "\ufeff" + `{"version":2,"encrypted_data":{"version":2}}`},
		{"invalid UTF-8", "{\"version\":2,\"x\":\"\xff\",\"encrypted_data\":{\"version\":2}}"},
		{"a surrogate as UTF-8", "{\"version\":2,\"x\":\"\xed\xa0\x80\",\"encrypted_data\":{\"version\":2}}"},
		{"invalid UTF-8 in a name", "{\"version\":2,\"\xff\":0,\"encrypted_data\":{\"version\":2}}"},
		{"a control character", "{\"version\":2,\"x\":\"\x01\",\"encrypted_data\":{\"version\":2}}"},
		{"a second object", `{"version":2,"encrypted_data":{"version":2}}{}`},
		{"garbage behind", `{"version":2,"encrypted_data":{"version":2}}x`},
		{"truncated", `{"version":2,"encrypted_data":{"version":2}`},
		{"a comma behind the last member", `{"version":2,"encrypted_data":{"version":2},}`},
		{"a comment", `{"version":2,/**/"encrypted_data":{"version":2}}`},
		{"names without quotes", `{version:2,encrypted_data:{version:2}}`},
		{"no-break space", "{\"version\":\u00a02,\"encrypted_data\":{\"version\":2}}"},
		{"NaN besides", `{"version":2,"x":NaN,"encrypted_data":{"version":2}}`},
		{"readable versions, unknown layout", `{"version":1,"encrypted_data":{"version":2},"shards":[]}`},
		{"readable versions alone", `{"version":1,"encrypted_data":{"version":2}}`},
	} {
		s.bad(class, c[0], c[1])
	}
}
