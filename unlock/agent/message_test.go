package agent

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// FuzzMessage: bytes from the socket are a message that can be written and read again, or
// they are refused.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `[]`, `{"key":"AAAA"}`, `{"keys":[{}],"version":1}`, `{"version":"x"}`, ""} {
		f.Add(append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}) // a length that nobody may allocate
	f.Fuzz(func(t *testing.T, data []byte) {
		roundTrip[request](t, data)
		roundTrip[response](t, data)
	})
}

func roundTrip[T any](t *testing.T, data []byte) {
	t.Helper()
	var got, again T
	if read(bytes.NewReader(data), &got) != nil {
		return
	}
	var first, second bytes.Buffer
	err := write(&first, got)
	if err == errTooLong { // the JSON can be longer than the text that was read
		return
	}
	if err == nil {
		err = read(bytes.NewReader(first.Bytes()), &again)
	}
	if err == nil {
		err = write(&second, again)
	}
	if err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatalf("%q became %q, %v", first.Bytes(), second.Bytes(), err)
	}
}
