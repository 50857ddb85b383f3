package awsserver

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// KMS is an AWS Key Management Service for tests, for one account in every region. It
// has the calls that use a key, and methods that make one. It answers as the service's
// API reference says, and can be told to fail: see Fault, whose Secret is a key as the
// client names it. It checks only the form of signatures, and answers for the region
// that they are for.
//
// Clients find it by AWS_ENDPOINT_URL_KMS.
type KMS struct {
	injector
	account  string
	listener net.Listener
	http     *http.Server

	mu       sync.Mutex
	keys     map[string]*kmsKey // by ARN
	aliases  map[alias]string   // to ARNs
	skew     time.Duration
	requests []KMSRequest
}

// KMSRequest is one entry of the log. It never holds a plaintext.
type KMSRequest struct {
	Operation string
	Key       string // as the client named it
	Region    string
	Context   map[string]string
	DryRun    bool
	Code      string // of an error
	Status    int    // 0 if the connection was cut
}

// NewKMS starts a KMS for account 123456789012 on a free port of the loopback
// interface, on the system's clock. It has no keys.
func NewKMS() (*KMS, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &KMS{listener: listener, account: "123456789012", keys: map[string]*kmsKey{}, aliases: map[alias]string{}}
	s.clock = time.Now
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

// URL returns the value for AWS_ENDPOINT_URL_KMS.
func (s *KMS) URL() string { return "http://" + s.listener.Addr().String() }

// Close ends the server and cuts all connections. After that, its address refuses
// connections.
func (s *KMS) Close() error { return s.http.Close() }

// SetClockSkew sets how far the server's time is ahead of ours: in the Date header, and
// when it checks the time of signatures, which may be 5 minutes off.
func (s *KMS) SetClockSkew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

func (s *KMS) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.skew)
}

// Requests returns the log, in the order in which the requests were answered.
func (s *KMS) Requests() []KMSRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count returns how many requests there were for one operation, or for all with "".
func (s *KMS) Count(operation string) int {
	n := 0
	for _, r := range s.Requests() {
		if operation == "" || r.Operation == operation {
			n++
		}
	}
	return n
}

// ResetLog empties the log, and so resets the counts.
func (s *KMS) ResetLog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// kmsInput has the fields of all operations.
type kmsInput struct {
	KeyID     string `json:"KeyId"`
	Plaintext []byte
	Blob      []byte            `json:"CiphertextBlob"`
	Context   map[string]string `json:"EncryptionContext"`
	Algorithm string            `json:"EncryptionAlgorithm"`
	DryRun    bool
}

func (in kmsInput) aad() []byte {
	text, err := json.Marshal(in.Context) // sorted by key
	if err != nil {
		panic(err)
	}
	return text
}

// ServeHTTP answers one request of the X-Amz-JSON 1.1 protocol.
func (s *KMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var in kmsInput
	malformed := json.Unmarshal(body, &in) != nil
	entry := KMSRequest{Operation: operationOf(r, "TrentService."), Key: in.KeyID, Region: regionOf(r), Context: maps.Clone(in.Context), DryRun: in.DryRun}
	fault := s.takeFault(entry.Operation, entry.Key)
	if !fault.passes(r.Context()) {
		s.finish(entry)
		panic(http.ErrAbortHandler)
	}
	failure := fault.Error
	if fault.Deny {
		failure = s.denied(entry)
	}
	if malformed {
		failure = fail("SerializationException", "the body is not the JSON of this operation")
	}
	var out any
	if failure == nil {
		out, failure = s.answer(r, entry, in)
	}
	entry.Status = http.StatusOK
	if failure != nil {
		entry.Status, entry.Code, out = failure.status(), failure.Code, failure.body()
	}
	if fault.Cut == CutAfter {
		entry.Status = 0
		s.finish(entry)
		panic(http.ErrAbortHandler)
	}
	s.finish(entry)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", uuid())
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	w.WriteHeader(entry.Status)
	_ = json.NewEncoder(w).Encode(out)
}

func (s *KMS) finish(r KMSRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
}

func (s *KMS) answer(r *http.Request, entry KMSRequest, in kmsInput) (any, *Error) {
	if _, failure := (signer{service: "kms", now: s.now()}).check(r); failure != nil {
		return nil, failure
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key, failure := s.find(entry.Region, in.KeyID)
	if failure != nil {
		return nil, failure
	}
	switch {
	case r.Method == http.MethodPost && entry.Operation == "DescribeKey":
		return key.describe(), nil
	case r.Method == http.MethodPost && entry.Operation == "Encrypt":
		return key.encrypt(in)
	case r.Method == http.MethodPost && entry.Operation == "Decrypt":
		return key.decrypt(in)
	}
	return nil, fail("UnknownOperationException", "")
}

// denied returns IAM's refusal.
func (s *KMS) denied(r KMSRequest) *Error {
	action := "kms:" + r.Operation
	return fail("AccessDeniedException", "User: arn:aws:iam::"+s.account+":user/test is not authorized to perform: "+action+
		" on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access")
}

// Errors for faults of KMS, as AWS documents them in its API reference: under "Common
// Errors", and for each operation.
var (
	KMSDeniedSilently = &Error{Code: "AccessDeniedException"}
	KMSInternal       = &Error{Status: 500, Code: "KMSInternalException", Message: "An internal error occurred."}
	KMSTimeout        = &Error{Status: 503, Code: "DependencyTimeoutException", Message: "The system timed out while trying to fulfill the request."}
	KMSKeyUnavailable = &Error{Status: 500, Code: "KeyUnavailableException", Message: "The specified KMS key was not available."}
)
