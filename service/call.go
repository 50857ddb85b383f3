package service

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service/token"
)

// call is a request that is being served.
type call struct {
	w       http.ResponseWriter // for headers and streams; else answers are returned
	r       *http.Request
	request string // its id

	route *route
	op    *operation
	name  string // the part of the path in the place of an id

	grant   token.Grant
	ctx     context.Context // with the caller
	query   url.Values
	version nebula.Version // that was read or written, for the audit log
	changed bool           // the backend may have been changed
	noted   bool           // in the audit log
	drained bool           // the body was read to its end
}

func (c *call) id() nebula.ID { return nebula.ID(c.name) }

// newRequestID returns 16 characters, enough to find a request in a log.
func newRequestID() string {
	var number [8]byte
	binary.NativeEndian.PutUint64(number[:], rand.Uint64())
	return hex.EncodeToString(number[:])
}

// check refuses parts of a request that the operation does not have.
func (c *call) check() error {
	if !c.op.body && c.r.ContentLength != 0 {
		if n, _ := c.r.Body.Read(make([]byte, 1)); n > 0 {
			return usage("there is no body here", "")
		}
	}
	// An empty value must be declared as empty, so that a body that got lost on its
	// way does not replace a credential.
	if c.op.body && c.r.ContentLength == 0 && c.r.Header["Content-Length"] == nil {
		return usage("there is no body", "for an empty one send Content-Length: 0")
	}
	return c.parseQuery()
}

// parseQuery reads the parameters that the operation knows, each once. It
// refuses others: a client that sends them expects them to count.
func (c *call) parseQuery() error {
	if c.r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return usage("the query cannot be read", "escape characters other than letters and digits, and put & between parameters")
	}
	for name, values := range query {
		if !slices.Contains(c.op.query, name) {
			return usage(fmt.Sprintf("there is no parameter %.40q here", name), "")
		}
		if len(values) > 1 && name != "tag" {
			return usage("the parameter "+name+" is there twice", "")
		}
	}
	c.query = query
	return nil
}

func usage(message, hint string) error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: message, Hint: hint}
}

// answer is the answer to a request. It is made whole before any of it is sent,
// so that the audit line comes first.
type answer struct {
	status      int
	contentType string
	etag        string
	attachment  bool
	header      http.Header // what else there is; may be nil
	body        []byte
	secret      bool // the body holds a value
	sent        bool // it was streamed
}

func (a *answer) write(w http.ResponseWriter, method string) {
	if a.sent {
		return
	}
	defer a.wipe()
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	if a.contentType != "" {
		h["Content-Type"] = contentTypeOf(a.contentType)
	}
	if a.etag != "" {
		h["Etag"] = []string{a.etag}
	}
	if a.attachment {
		h["Content-Disposition"] = attachment
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified && (len(a.body) > 0 || method != http.MethodHead) {
		h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	}
	w.WriteHeader(a.status)
	if len(a.body) > 0 && method != http.MethodHead {
		_, _ = w.Write(a.body) // the client has gone: nothing is left to do
	}
}

// wipe clears a value that was sent.
func (a *answer) wipe() {
	if a.secret {
		clear(a.body)
	}
}

// Headers that most answers have. Like the other headers, these are shared.
var (
	attachment  = []string{"attachment"}
	jsonContent = []string{jsonType}
	rawContent  = []string{bytesType}
)

func contentTypeOf(mediaType string) []string {
	switch mediaType {
	case jsonType:
		return jsonContent
	case bytesType:
		return rawContent
	}
	return []string{mediaType}
}
