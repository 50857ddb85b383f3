package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// A message is its length in four bytes, big-endian, and JSON. A connection
// begins with hello. Then each request has one response, in order.
const (
	protocolVersion = 1
	maxMessage      = 64 << 10 // bytes of JSON
	headerSize      = 4
)

// Operations of a request.
const (
	opHello = "hello" // version
	opGet   = "get"   // address → key, pinned
	opAdd   = "add"   // address, key, pinned, ttl
	opList  = "list"  // → keys
	opLock  = "lock"  // → forgotten
)

type request struct {
	Op      string        `json:"op"`
	Version int           `json:"version,omitempty"`
	Address string        `json:"address,omitempty"`
	Key     []byte        `json:"key,omitempty"`
	Pinned  bool          `json:"pinned,omitempty"`
	TTL     time.Duration `json:"ttl,omitempty"` // nanoseconds; 0 is that of the agent
}

type response struct {
	Error     string  `json:"error,omitempty"`
	Version   int     `json:"version,omitempty"`
	Key       []byte  `json:"key,omitempty"` // of get; none if there is none
	Pinned    bool    `json:"pinned,omitempty"`
	Keys      []Entry `json:"keys,omitempty"`
	Forgotten int     `json:"forgotten,omitempty"`
}

var errTooLong = errors.New("the message is too long")

// write sends a message in one piece.
func write(w io.Writer, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	defer clear(body)
	if len(body) > maxMessage {
		return errTooLong
	}
	framed := make([]byte, headerSize, headerSize+len(body))
	defer clear(framed[:cap(framed)])
	binary.BigEndian.PutUint32(framed, uint32(len(body)))
	framed = append(framed, body...)
	_, err = w.Write(framed)
	return err
}

// read receives a message. It checks the length before it allocates.
func read(r io.Reader, message any) error {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return err
	}
	length := binary.BigEndian.Uint32(header[:])
	if length > maxMessage {
		return errTooLong
	}
	body := make([]byte, length)
	defer clear(body)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, message); err != nil {
		return fmt.Errorf("the message is not valid") // the cause may show a part of it
	}
	return nil
}
