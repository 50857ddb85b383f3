package azureserver

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Request is what the server remembers of a request. It holds no value, no
// token and no query.
type Request struct {
	Time      time.Time // by the server's clock
	Host      string
	Method    string
	Path      string
	Operation Operation // "" if the path is not part of the API
	Name      string    // of the secret, as the request spelled it
	WithToken bool      // it carried a bearer token, good or bad
	Received  int       // bytes of its body
	Status    int       // of the answer; 0 if the connection was cut
	Sent      int       // bytes of the answer's body
}

// logLength is how many requests are remembered: all requests of a long benchmark would
// fill the memory.
const logLength = 20000

type requestLog struct {
	mu       sync.Mutex
	requests []Request
}

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.requests) == logLength {
		l.requests = append(l.requests[:0], l.requests[logLength/2:]...)
	}
	l.requests = append(l.requests, r)
}

// Requests returns the latest requests to the server, at most 20,000, oldest first. A
// request is there before its answer is sent.
func (s *Server) Requests() []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return append([]Request(nil), s.log.requests...)
}

// ForgetRequests empties the list of Requests, and so resets the counts.
func (s *Server) ForgetRequests() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.requests = nil
}

// Count counts the Requests for an operation. If a request had no token and got a
// challenge, it counts only under Challenge.
func (s *Server) Count(op Operation) int { return countOf(s.Requests(), op) }

func countOf(requests []Request, op Operation) int {
	n := 0
	for _, r := range requests {
		challenged := strings.HasSuffix(r.Host, vaultSuffix) && !r.WithToken
		if challenged && op == Challenge || !challenged && r.Operation == op {
			n++
		}
	}
	return n
}

// exchange is one request and its answer.
type exchange struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	entry   Request
	body    []byte
	cut     bool // the answer must not arrive
	written bool
}

// bodyLimit is far above what any operation accepts.
const bodyLimit = 1 << 20

func (s *Server) begin(w http.ResponseWriter, r *http.Request, host string) *exchange {
	body, _ := io.ReadAll(io.LimitReader(r.Body, bodyLimit))
	if host == "" {
		host = r.Host
	}
	return &exchange{server: s, w: w, r: r, body: body, entry: Request{
		Time: s.now(), Host: host, Method: r.Method, Path: r.URL.Path, Received: len(body),
		WithToken: strings.HasPrefix(strings.ToLower(r.Header.Get("Authorization")), "bearer "),
	}}
}

// end cuts the connection if no answer was written.
func (x *exchange) end() {
	if x.written {
		return
	}
	x.server.log.add(x.entry)
	panic(http.ErrAbortHandler)
}

// answer sends a status and a body, which may be nil.
func (x *exchange) answer(status int, body any) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			panic(fmt.Sprintf("azureserver: %v", err)) // all bodies are our own types
		}
	}
	if x.cut {
		return
	}
	x.written = true
	x.entry.Status, x.entry.Sent = status, len(data)
	x.server.log.add(x.entry)
	h := x.w.Header()
	h.Set("Date", x.server.now().UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.Itoa(len(data)))
	if body != nil {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	x.w.WriteHeader(status)
	_, _ = x.w.Write(data)
}

// apiError is a vault's answer if there is an error.
type apiError struct {
	status  int
	code    string
	message string
	inner   string // innererror.code; "" for none
}

type errorJSON struct {
	Error struct {
		Code       string     `json:"code"`
		Message    string     `json:"message"`
		InnerError *innerJSON `json:"innererror,omitempty"`
	} `json:"error"`
}

type innerJSON struct {
	Code string `json:"code"`
}

func (x *exchange) fail(e *apiError) {
	var body errorJSON
	body.Error.Code, body.Error.Message = e.code, e.message
	if e.inner != "" {
		body.Error.InnerError = &innerJSON{Code: e.inner}
	}
	x.answer(e.status, body)
}

func badParameter(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "BadParameter", message: fmt.Sprintf(format, args...)}
}

// notFound is the answer for a name or version that is not there. It is about as long
// as the real one, which points to the recovery of deleted secrets.
func notFound(t target) *apiError {
	id := t.name
	if t.version != "" {
		id += "/" + t.version
	}
	return &apiError{status: http.StatusNotFound, code: t.of.code() + "NotFound", message: fmt.Sprintf(
		"No %s with the name or id %s exists in this key vault. Where it was deleted a short time ago, "+
			"it may be possible to bring it back with the command that recovers deleted %[1]ss. "+
			"The documentation of the key vault tells how.", t.of, id)}
}

func deletedNotFound(t target) *apiError {
	return &apiError{status: http.StatusNotFound, code: t.of.code() + "NotFound", message: fmt.Sprintf("No deleted %s found: %s", t.of, t.name)}
}

// conflict has an inner code, except while a name is being purged.
func conflict(inner string, t target) *apiError {
	doing := map[string]string{
		"":                              "is being deleted for good",
		"ObjectIsBeingDeleted":          "is being deleted",
		"ObjectIsDeletedButRecoverable": "is deleted and can be recovered",
		"ObjectIsBeingRecovered":        "is being recovered",
	}[inner]
	return &apiError{status: http.StatusConflict, code: "Conflict", inner: inner,
		message: fmt.Sprintf("The %s %s %s; try it later.", t.of, t.name, doing)}
}

func methodNotAllowed() *apiError {
	return &apiError{status: http.StatusMethodNotAllowed, code: "MethodNotAllowed",
		message: "The method is not allowed for this address."}
}
