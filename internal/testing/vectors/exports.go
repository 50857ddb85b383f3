package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// exported is one export. docs/format.md describes the fields.
type exported struct {
	Name    string            `json:"name"`
	Class   string            `json:"class"`
	Kind    string            `json:"kind"`
	Expect  string            `json:"expect"`
	Export  string            `json:"export_b64"`
	KeyFile string            `json:"key_file,omitempty"`
	Values  map[string]string `json:"values,omitempty"` // hex, by id
	Failed  map[string]string `json:"failed,omitempty"` // the error, by id
}

const exportHeader = `{"nebula_export":1,"address":"/srv/\"store\"","key_id":"KEYID","created_at":"2026-03-01T00:00:00Z"}`

func exportLine(id, record string) string {
	return `{"id":` + quote(id) + `,"record":` + b64([]byte(record)) + `}`
}

// exportOf returns lines followed by the end mark that fits them.
func exportOf(lines ...string) string {
	text := strings.Join(lines, "\n") + "\n"
	return fmt.Sprintf("%s{\"records\":%d,\"sha256\":\"%x\"}\n", text, len(lines)-2, sha256.Sum256([]byte(text)))
}

func exportRecord(id, value string, key []byte) string {
	in := &input{name: id, key: key, plaintext: []byte(value), meta: full(), label: "export " + id}
	return in.seal().object().text()
}

func exports() (all []exported) {
	header := strings.Replace(exportHeader, "KEYID", hexed(keyID(dataKey())), 1)
	old, _ := base64.StdEncoding.DecodeString(retired(1)[0])
	withOld := usualRing()
	withOld.value = valueText(sealedValue{Generation: 2, State: "steady", Retired: retired(1)})
	keyring := func(r ring) string { return `{"keyring":` + b64([]byte(r.object().text())) + `}` }
	values := map[string]string{"B": "", "a": "one", "a-b": "two\n", "a_b": "\x00\xff"}
	lines := []string{header, keyring(usualRing())}
	for _, id := range []string{"B", "a", "a-b", "a_b"} {
		lines = append(lines, exportLine(id, exportRecord(id, values[id], dataKey())))
	}
	file := keyFileText(fileKey())
	ok := func(name, text string, values, failed map[string]string) {
		coded := make(map[string]string)
		for id, value := range values {
			coded[id] = hexed([]byte(value))
		}
		all = append(all, exported{name, "export", "export", "ok", base64.StdEncoding.EncodeToString([]byte(text)), file, coded, failed})
	}
	ok("four records", exportOf(lines...), values, nil)
	ok("no record", exportOf(lines[:2]...), nil, nil)
	ok("an empty address", exportOf(append([]string{strings.Replace(header, `/srv/\"store\"`, "", 1)}, lines[1:]...)...), values, nil)
	ok("a record under a retired key", exportOf(header, keyring(withOld), lines[2], exportLine("old", exportRecord("old", "older", old))),
		map[string]string{"B": "", "old": "older"}, nil)
	ok("records that do not open", exportOf(append(lines[:6:6], exportLine("b", exportRecord("a", "one", dataKey())),
		exportLine("c", exportRecord("c", "x", otherKey())), exportLine("d", "x"), exportLine("e", ""),
		exportLine("f", `{"version":2,"encrypted_data":{"version":2}}`))...), values,
		map[string]string{"b": corrupted, "c": wrongKey, "d": corrupted, "e": corrupted, "f": unsupported})

	bad := func(name, text, expect string) {
		all = append(all, exported{Name: name, Class: "export", Kind: "export", Expect: expect, Export: base64.StdEncoding.EncodeToString([]byte(text))})
	}
	edit := func(name string, f func(lines []string) []string) {
		bad(name, exportOf(f(slices.Clone(lines))...), corrupted)
	}
	replace := func(name string, line int, old, new string) {
		edit(name, func(lines []string) []string {
			if !strings.Contains(lines[line], old) {
				panic("no " + old)
			}
			lines[line] = strings.Replace(lines[line], old, new, 1)
			return lines
		})
	}
	whole := exportOf(lines...)
	bad("empty", "", corrupted)
	bad("another file", "NAME=value\n", "usage")
	bad("a newer version", exportOf(strings.Replace(header, "1", "2", 1), lines[1]), unsupported)
	for n := range lines {
		bad(fmt.Sprintf("cut off after line %d", n+1), strings.Join(lines[:n+1], "\n")+"\n", corrupted)
	}
	bad("without the last line feed", strings.TrimSuffix(whole, "\n"), corrupted)
	bad("an empty line at the end", whole+"\n", corrupted)
	bad("twice", whole+whole, corrupted)
	bad("a count too low", strings.Replace(whole, `"records":4`, `"records":3`, 1), corrupted)
	bad("a count with a leading zero", strings.Replace(whole, `"records":4`, `"records":04`, 1), corrupted)
	bad("a hash in upper case", whole[:len(whole)-68]+strings.ToUpper(whole[len(whole)-68:]), corrupted)
	other := exportOf(append([]string{strings.Replace(header, "/srv/", "/mnt/", 1)}, lines[1:]...)...)
	bad("the end mark of another export", strings.Join(lines, "\n")+other[strings.LastIndex(other, "\n{"):], corrupted)
	edit("without a keyring", func(l []string) []string { return slices.Delete(l, 1, 2) })
	edit("two keyrings", func(l []string) []string { return slices.Insert(l, 1, l[1]) })
	bad("without a header", exportOf(lines[1:]...), "usage")
	edit("records in another order", func(l []string) []string { l[2], l[3] = l[3], l[2]; return l })
	edit("a record twice", func(l []string) []string { return slices.Insert(l, 3, l[2]) })
	edit("an empty line", func(l []string) []string { return slices.Insert(l, 3, "") })
	edit("a keyring that is none", func(l []string) []string {
		l[1] = `{"keyring":` + b64([]byte(exportRecord("a", "one", dataKey()))) + `}`
		return l
	})
	edit("an edited keyring", func(l []string) []string {
		l[1] = `{"keyring":` + b64([]byte(strings.Replace(usualRing().object().text(), `"m":0`, `"m":1`, 1))) + `}`
		return l
	})
	replace("the key id of another keyring", 0, hexed(keyID(dataKey())), hexed(keyID(otherKey())))
	replace("a key id in upper case", 0, hexed(keyID(dataKey())), strings.ToUpper(hexed(keyID(dataKey()))))
	replace("version 0", 0, `export":1`, `export":0`)
	replace("a version with a fraction", 0, `export":1`, `export":1.0`)
	replace("a control character in the address", 0, "/srv/", "/srv/\x1b")
	replace("an escape in the address", 0, "/srv/", `\u002fsrv/`)
	replace("a time without its zone", 0, `00Z"`, `00"`)
	replace("one more member in the header", 0, `}`, `,"x":1}`)
	replace("white space", 3, `,"record"`, `, "record"`)
	replace("CRLF", 3, `"}`, "\"}\r")
	replace("members in another order", 3, `{"id":"a",`, `{`)
	replace("an id that is none", 3, `"id":"a"`, `"id":"a/b"`)
	replace("an id in the form of the keyring's", 2, `"id":"B"`, `"id":".keyring"`)
	replace("an id with an escape", 3, `"id":"a"`, `"id":"\u0061"`)
	edit("base64 without padding", func(l []string) []string { return append(l, strings.Replace(exportLine("z", "x"), "=", "", 2)) })
	replace("base64 of the other alphabet", 2, `"record":"`, `"record":"_`)
	replace("a line feed in base64", 2, `"record":"`, "\"record\":\"\n")
	return all
}

func writeExports(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for _, x := range exports() {
		if err := e.Encode(x); err != nil {
			return err
		}
	}
	return b.Flush()
}
