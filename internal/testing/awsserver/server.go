// Package awsserver is an AWS Secrets Manager for tests. It answers as the real
// service does, which a test checks against recordings, and it can be told to
// fail: see Fault.
//
// If the recordings do not show something, it follows the service's
// documentation. It keeps everything in memory and verifies no signature, only
// its form.
//
// A client gets its credentials from STS and Metadata.
package awsserver

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxBody is more than the largest request: 20 names, or a value of 65,536 bytes, each
// of them escaped.
const maxBody = 1 << 20

// Options are the options of New. The zero value works.
type Options struct {
	Region      string // "us-east-1"; another one in the signature is refused
	Account     string // 12 digits, "123456789012"
	AccessKeyID string // another one in the signature is refused; empty: any will do

	// Now is the clock for everything that the service keeps: dates, windows, quotas,
	// the duration of faults. nil means time.Now. It must be safe for several
	// goroutines. Signatures and the Date header use the real time.
	Now func() time.Time

	// ForcedDeletion is how long a secret is still there after a forced deletion. Zero
	// means 5 s, as measured.
	ForcedDeletion time.Duration
}

// Server is one account in one region. Several goroutines may use its methods at once.
type Server struct {
	injector
	options  Options
	listener net.Listener
	http     *http.Server

	mu        sync.Mutex
	secrets   map[string]*secret // by name
	gone      []*secret          // deleted ones that lists may still show
	sequence  int
	requests  []Request
	listDelay time.Duration
	pageSize  int
	skew      time.Duration
	functions map[string]bool // rotation functions that can be invoked

	deprecatedStay bool // see SetDeprecatedStay
}

// New starts a server on a free port of the loopback interface.
func New(o Options) (*Server, error) {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Account == "" {
		o.Account = "123456789012"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ForcedDeletion == 0 {
		o.ForcedDeletion = 5 * time.Second
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, listener: listener, secrets: map[string]*secret{}, functions: map[string]bool{}}
	s.clock = s.now
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

// URL returns the endpoint, without a slash at its end.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Region returns the region that the client must sign for.
func (s *Server) Region() string { return s.options.Region }

// Close ends the server and cuts all connections.
func (s *Server) Close() error { return s.http.Close() }

// call is one request on its way through the server.
type call struct {
	server    *Server
	operation string
	now       time.Time
}

// operation decodes its input and acts, while the server is locked.
type operation func(c *call, body []byte) (any, *Error)

// handle makes an operation from a function with its own type of input.
func handle[I any](f func(*call, *I) (any, *Error)) operation {
	return func(c *call, body []byte) (any, *Error) {
		var in I
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, fail("SerializationException", "the body is not the JSON of this operation")
		}
		return f(c, &in)
	}
}

var operations = map[string]operation{
	"BatchGetSecretValue":          handle((*call).batchGet),
	"CancelRotateSecret":           handle((*call).cancelRotation),
	"CreateSecret":                 handle((*call).create),
	"DeleteResourcePolicy":         handle((*call).deletePolicy),
	"DeleteSecret":                 handle((*call).delete),
	"DescribeSecret":               handle((*call).describe),
	"GetRandomPassword":            handle((*call).randomPassword),
	"GetResourcePolicy":            handle((*call).getPolicy),
	"GetSecretValue":               handle((*call).get),
	"ListSecretVersionIds":         handle((*call).listVersions),
	"ListSecrets":                  handle((*call).list),
	"PutResourcePolicy":            handle((*call).putPolicy),
	"PutSecretValue":               handle((*call).put),
	"RemoveRegionsFromReplication": handle((*call).removeRegions),
	"ReplicateSecretToRegions":     handle((*call).replicate),
	"RestoreSecret":                handle((*call).restore),
	"RotateSecret":                 handle((*call).rotate),
	"TagResource":                  handle((*call).tag),
	"UntagResource":                handle((*call).untag),
	"UpdateSecret":                 handle((*call).update),
	"UpdateSecretVersionStage":     handle((*call).moveStage),
	"ValidateResourcePolicy":       handle((*call).validatePolicy),
}

// ServeHTTP answers one request of the X-Amz-JSON 1.1 protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone, or was never one
	}
	entry := newRequest(r, body)
	fault := s.begin(entry)
	if !fault.passes(r.Context()) {
		s.finish(entry, 0, "", 0)
		panic(http.ErrAbortHandler)
	}
	out, failure := s.answer(r, entry, body, fault)
	status, code := http.StatusOK, ""
	if failure != nil {
		status, code, out = failure.status(), failure.Code, failure.body()
	}
	data, err := json.Marshal(out)
	if err != nil {
		panic(err) // one of our output types has no JSON
	}
	if fault.Cut == CutAfter {
		s.finish(entry, 0, code, 0)
		panic(http.ErrAbortHandler)
	}
	s.finish(entry, status, code, len(data))
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", entry.RequestID)
	w.Header().Set("Date", s.realTime().UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// answer returns the output of the operation, or AWS's error.
func (s *Server) answer(r *http.Request, entry *Request, body []byte, fault *Fault) (any, *Error) {
	run, ok := operations[entry.Operation]
	if r.Method != http.MethodPost || !ok {
		return nil, fail("UnknownOperationException", "")
	}
	want := signer{"secretsmanager", s.options.Region, s.options.AccessKeyID, s.realTime()}
	if _, err := want.check(r); err != nil {
		return nil, err
	}
	if fault.Error != nil {
		return nil, fault.Error
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	if fault.Deny {
		return nil, s.denied(entry.Operation, entry.Secret)
	}
	return run(&call{server: s, operation: entry.Operation, now: s.now()}, body)
}

// now returns the service's time, in the milliseconds that it keeps.
func (s *Server) now() time.Time { return s.options.Now().UTC().Truncate(time.Millisecond) }

func (s *Server) realTime() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.skew)
}

// uuid returns a random UUID, version 4.
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// random returns n characters of the alphabet, which is ASCII.
func random(n int, alphabet string) string {
	var text strings.Builder
	var b [1]byte
	limit := 256 - 256%len(alphabet) // bytes from there on would favour some characters
	for text.Len() < n {
		_, _ = rand.Read(b[:])
		if int(b[0]) < limit {
			text.WriteByte(alphabet[int(b[0])%len(alphabet)])
		}
	}
	return text.String()
}
