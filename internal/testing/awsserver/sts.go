package awsserver

import (
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// STS is an AWS Security Token Service for tests. It has the calls by which a client of
// Secrets Manager gets credentials. It answers as the service's API reference says
// (query requests, XML answers), and can be told to fail: see Fault, whose Operation is
// the Action and whose Secret is the ARN of the role. It checks only the form of
// signatures.
//
// Clients find it by AWS_ENDPOINT_URL_STS.
type STS struct {
	injector
	account  string
	listener net.Listener
	http     *http.Server

	mu       sync.Mutex
	roles    map[string]Role // by ARN
	tokens   map[string]bool // web identities
	expired  map[string]bool // access keys whose session has ended
	lifetime time.Duration
	requests []Request
}

// Role is a role that can be assumed.
type Role struct {
	ARN string
	MFA string // serial number of the required device; its code is MFACode
}

// MFACode is the one-time code that every device shows.
const MFACode = "123456"

// NewSTS starts an STS for account 123456789012 on a free port of the loopback
// interface, on the system's clock. It knows no roles and no web identities.
func NewSTS() (*STS, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &STS{listener: listener, account: "123456789012", roles: map[string]Role{}, tokens: map[string]bool{},
		expired: map[string]bool{}, lifetime: time.Hour}
	s.clock = time.Now
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

// URL returns the value for AWS_ENDPOINT_URL_STS.
func (s *STS) URL() string { return "http://" + s.listener.Addr().String() }

// Close ends the server and cuts all connections. After that, its address refuses
// connections.
func (s *STS) Close() error { return s.http.Close() }

// AddRole adds a role that everybody can assume, by keys and by web identities.
func (s *STS) AddRole(r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[r.ARN] = r
}

// AddToken makes a web identity's token valid.
func (s *STS) AddToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = true
}

// ExpireSession ends the session of an access key.
func (s *STS) ExpireSession(keyID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expired[keyID] = true
}

// SetLifetime sets how long the credentials last that it gives from now on. The first
// value is an hour, whatever the request asks for.
func (s *STS) SetLifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime = d
}

// Requests returns the log, in the order in which the requests were answered. Secret is
// the role.
func (s *STS) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count returns how many requests there were for one action, or for all with "".
func (s *STS) Count(action string) int {
	n := 0
	for _, r := range s.Requests() {
		if action == "" || r.Operation == action {
			n++
		}
	}
	return n
}

// ServeHTTP answers one request of the query protocol.
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	form, _ := url.ParseQuery(string(body)) // checks below refuse what is missing
	entry := &Request{Operation: form.Get("Action"), Secret: form.Get("RoleArn"), Sent: len(body), RequestID: uuid(), Time: s.clock()}
	fault := s.takeFault(entry.Operation, entry.Secret)
	if !fault.passes(r.Context()) {
		s.finish(entry, 0, "", 0)
		panic(http.ErrAbortHandler)
	}
	var out any
	failure := fault.Error
	if fault.Deny {
		failure = s.notAuthorized(entry.Operation, entry.Secret)
	}
	if failure == nil {
		out, failure = s.answer(r, form, entry.RequestID)
	}
	status, code := http.StatusOK, ""
	if failure != nil {
		status, code, out = failure.status(), failure.Code, newQueryError(failure, entry.RequestID)
	}
	data, err := xml.Marshal(out)
	if err != nil {
		panic(err) // one of our output types has no XML
	}
	if fault.Cut == CutAfter {
		s.finish(entry, 0, code, 0)
		panic(http.ErrAbortHandler)
	}
	s.finish(entry, status, code, len(data))
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", entry.RequestID)
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

func (s *STS) finish(r *Request, status int, code string, received int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Status, r.Code, r.Received = status, code, received
	s.requests = append(s.requests, *r)
}

func (s *STS) answer(r *http.Request, form url.Values, requestID string) (any, *Error) {
	action := form.Get("Action")
	if r.Method != http.MethodPost || form.Get("Version") != "2011-06-15" {
		return nil, fail("InvalidAction", "Could not find operation "+action+" for version "+form.Get("Version"))
	}
	if action == "AssumeRoleWithWebIdentity" { // the only one without a signature
		return s.assumeByIdentity(form, requestID)
	}
	keyID, failure := signer{service: "sts", now: time.Now()}.check(r)
	if failure != nil {
		return nil, forQuery(failure)
	}
	if s.isExpired(keyID) {
		return nil, STSExpired
	}
	switch action {
	case "AssumeRole":
		return s.assume(form, requestID)
	case "GetCallerIdentity":
		return &identityAnswer{ID: requestID, ARN: "arn:aws:iam::" + s.account + ":user/test", UserID: "AIDAEXAMPLE", Account: s.account}, nil
	}
	return nil, fail("InvalidAction", "Could not find operation "+action+" for version 2011-06-15")
}

// forQuery gives a refusal of a signature the code of the query protocol. AWS documents
// the codes in the STS API reference, "Common Errors", with status 403.
func forQuery(e *Error) *Error {
	code := strings.TrimSuffix(e.Code, "Exception")
	switch code {
	case "UnrecognizedClient":
		code = "InvalidClientTokenId"
	case "InvalidSignature":
		code = "SignatureDoesNotMatch"
	}
	return &Error{Status: http.StatusForbidden, Code: code, Message: e.Message}
}

func (s *STS) isExpired(keyID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expired[keyID]
}

// notAuthorized is the refusal of a role, whether or not it exists.
func (s *STS) notAuthorized(action, role string) *Error {
	message := "Not authorized to perform sts:" + action
	if action != "AssumeRoleWithWebIdentity" {
		message = "User: arn:aws:iam::" + s.account + ":user/test is not authorized to perform: sts:" + action + " on resource: " + role
	}
	return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: message}
}

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

func (s *STS) assume(form url.Values, requestID string) (any, *Error) {
	role, failure := s.role(form)
	if failure != nil {
		return nil, failure
	}
	switch code := form.Get("TokenCode"); {
	case role.MFA == "":
	case code == "" || form.Get("SerialNumber") == "":
		return nil, STSNeedsMFA
	case code != MFACode || form.Get("SerialNumber") != role.MFA:
		return nil, STSWrongMFA
	}
	out := &assumeAnswer{ID: requestID}
	out.Result = s.session(role, form)
	return out, nil
}

func (s *STS) assumeByIdentity(form url.Values, requestID string) (any, *Error) {
	s.mu.Lock()
	valid := s.tokens[form.Get("WebIdentityToken")]
	s.mu.Unlock()
	if !valid {
		return nil, STSInvalidToken
	}
	role, failure := s.role(form)
	if failure != nil {
		return nil, failure
	}
	out := &webIdentityAnswer{ID: requestID}
	out.Result.session = s.session(role, form)
	out.Result.Subject, out.Result.Audience = "test", "sts.amazonaws.com"
	return out, nil
}

func (s *STS) role(form url.Values) (Role, *Error) {
	if !sessionName.MatchString(form.Get("RoleSessionName")) {
		return Role{}, validation("1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: 2 to 64 of the characters \\w+=,.@-")
	}
	if seconds := form.Get("DurationSeconds"); seconds != "" {
		if n, err := strconv.Atoi(seconds); err != nil || n < 900 || n > 43200 {
			return Role{}, validation("1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint: 900 to 43200")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	role, known := s.roles[form.Get("RoleArn")]
	if !known {
		return role, s.notAuthorized(form.Get("Action"), form.Get("RoleArn"))
	}
	return role, nil
}

func (s *STS) session(role Role, form url.Values) session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out session
	name := form.Get("RoleSessionName")
	out.User.ID = "AROAEXAMPLE:" + name
	out.User.ARN = strings.Replace(role.ARN, ":iam:", ":sts:", 1)
	out.User.ARN = strings.Replace(out.User.ARN, ":role/", ":assumed-role/", 1) + "/" + name
	out.Credentials = newKeys(s.clock().Add(s.lifetime))
	return out
}

// Errors for faults of STS. AWS documents the codes and statuses in the STS API
// reference, under "Common Errors" and for each action. The messages are those that
// users quote.
var (
	STSThrottled    = &Error{Code: "Throttling", Message: "Rate exceeded"}
	STSUnavailable  = &Error{Status: 503, Code: "ServiceUnavailable", Message: "Service is unavailable."}
	STSInternal     = &Error{Status: 500, Code: "InternalFailure", Message: "An internal error occurred."}
	STSExpired      = &Error{Status: 403, Code: "ExpiredToken", Message: "The security token included in the request is expired"}
	STSUnknownKey   = &Error{Status: 403, Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid."}
	STSWrongSecret  = &Error{Status: 403, Code: "SignatureDoesNotMatch", Message: InvalidSignature.Message}
	STSNeedsMFA     = &Error{Status: 403, Code: "AccessDenied", Message: "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code."}
	STSWrongMFA     = &Error{Status: 403, Code: "AccessDenied", Message: "MultiFactorAuthentication failed with invalid MFA one time pass code. "}
	STSInvalidToken = &Error{Code: "InvalidIdentityToken", Message: "The web identity token that was passed could not be validated."}
	STSExpiredToken = &Error{Code: "ExpiredTokenException", Message: "Token expired: current date/time must be before the expiration date/time"}
	STSNoProvider   = &Error{Code: "InvalidIdentityToken", Message: "No OpenIDConnect provider found in your account for the issuer of the token"}
	STSProviderDown = &Error{Code: "IDPCommunicationError", Message: "The identity provider could not be reached."}
	STSRejected     = &Error{Status: 403, Code: "IDPRejectedClaim", Message: "The identity provider reported that authentication failed."}
	STSRegionOff    = &Error{Status: 403, Code: "RegionDisabledException", Message: "STS is not activated in this region for account:123456789012. Your account administrator can activate STS in this region using the IAM Console."}
)
