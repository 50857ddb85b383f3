package service

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/jsonread"
)

// limits are the limits of the bodies of requests, in bytes.
type limits struct {
	record int // of the backend; 0 if it names none
	value  int // bytes as they are
	json   int // a value in JSON, and its tags
}

// Limits of bodies.
const (
	maxValue   = 16 << 20 // if the backend names no limit
	maxTagJSON = 1 << 20  // 1,024 tags of the longest kind
	maxIDsJSON = 64 << 10
)

func limitsOf(d nebula.Description) limits {
	value := maxValue
	if d.MaxRecordSize > 0 {
		value = min(value, d.MaxRecordSize)
	}
	return limits{record: d.MaxRecordSize, value: value, json: 2*value + maxTagJSON}
}

// readBody returns the body, of at most limit bytes. The caller wipes it.
func (c *call) readBody(limit int) ([]byte, error) {
	r := c.r
	if r.ContentLength > int64(limit) {
		return nil, bodyTooLarge(limit)
	}
	const first = 64 << 10
	size := first
	if r.ContentLength >= 0 {
		size = min(int(r.ContentLength), first)
	}
	body := make([]byte, 0, size+1)
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			clear(body)
			return nil, bodyTooLarge(limit)
		case err == io.EOF:
			c.drained = true
			return body, nil
		case err != nil:
			clear(body)
			return nil, unreadBody(err)
		}
		if len(body) == cap(body) {
			grown := append(make([]byte, 0, min(2*cap(body), limit+1)), body...)
			clear(body)
			body = grown
		}
	}
}

func bodyTooLarge(limit int) error {
	return &nebula.Error{Kind: nebula.ErrTooLarge, Message: fmt.Sprintf("the body has more than %d bytes, which is the limit here", limit)}
}

func unreadBody(err error) error {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &nebula.Error{Kind: errSlowBody, Message: "the body did not arrive in time", Err: err}
	}
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "the body ended early", Err: err}
}

// mediaType returns the type of the body, without parameters. It refuses an encoded
// body, which would be stored as it is.
func mediaType(r *http.Request, known ...string) (string, error) {
	refused := &nebula.Error{Kind: errUnsupportedMedia, Message: "the body must be " + strings.Join(known, " or "),
		Hint: "name it in Content-Type, once, and without Content-Encoding"}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" || len(r.Header["Content-Type"]) != 1 {
		return "", refused
	}
	found, parameters, err := mime.ParseMediaType(r.Header["Content-Type"][0])
	if charset := parameters["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", refused
	}
	for _, k := range known {
		if found == k {
			return found, nil
		}
	}
	return "", refused
}

// object reads a JSON object, which may have only the named members, each once. It
// does not read missing members.
func object(r *jsonread.Reader, members map[string]func()) error {
	var refused error
	seen := make(map[string]bool, len(members))
	r.Object(func(name string) {
		read, known := members[name]
		switch {
		case r.Failed():
		case !known:
			refused = usage(fmt.Sprintf("there is no member %.40q here", name), "")
			r.Fail()
		case seen[name]:
			refused = usage(fmt.Sprintf("the member %q is there twice", name), "")
			r.Fail()
		default:
			seen[name] = true
			read()
		}
	})
	return refused
}

// wantEnd fails unless the whole body was read and has the expected form.
func wantEnd(r *jsonread.Reader, refused error) error {
	if refused == nil && !r.Done() {
		refused = usage("the body is not the JSON that is expected here", "its members and their types are in /openapi.yaml")
	}
	return refused
}

// readJSON reads the body as an object of members.
func readJSON(c *call, limit int, members func(*jsonread.Reader) map[string]func()) error {
	if _, err := mediaType(c.r, jsonType); err != nil {
		return err
	}
	body, err := c.readBody(limit)
	if err != nil {
		return err
	}
	defer clear(body)
	r := jsonread.New(body)
	return wantEnd(r, object(r, members(r)))
}

// tags reads an object of tags into m, each once.
func tags(r *jsonread.Reader, m map[string]string, refused *error) {
	refuse := func(err error) {
		if *refused == nil {
			*refused = err
		}
		r.Fail()
	}
	r.Object(func(key string) {
		value := r.Text()
		if r.Failed() {
			return
		}
		if _, twice := m[key]; twice {
			refuse(usage(fmt.Sprintf("the tag %.40q is there twice", key), ""))
		} else if err := nebula.ValidateTag(key, value); err != nil {
			refuse(err)
		} else if len(m) == nebula.MaxTags {
			refuse(&nebula.Error{Kind: nebula.ErrInvalidMetadata, Message: fmt.Sprintf("there are more than %d tags", nebula.MaxTags)})
		}
		m[key] = value
	})
}
