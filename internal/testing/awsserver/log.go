package awsserver

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Request is one entry of the log. It never holds a value.
type Request struct {
	Operation string
	Secret    string // name or ARN as the client sent it; "" if there is none
	Items     int    // secrets in a batch
	Sent      int    // bytes of the body
	Received  int    // bytes of the answer, 0 if the connection was cut
	Status    int    // 0 if the connection was cut
	Code      string // of an error
	Time      time.Time
	RequestID string
}

func newRequest(r *http.Request, body []byte) *Request {
	name := operationOf(r, "secretsmanager.")
	var in struct {
		Name         string
		SecretId     string
		SecretIdList []string
	}
	_ = json.Unmarshal(body, &in) // the operation says what is wrong with it
	if in.SecretId == "" {
		in.SecretId = in.Name
	}
	return &Request{Operation: name, Secret: in.SecretId, Items: len(in.SecretIdList), Sent: len(body), RequestID: uuid()}
}

// begin sets the request's time and returns the fault that applies to it.
func (s *Server) begin(r *Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Time = s.now()
	return s.takeFault(r.Operation, r.Secret)
}

func (s *Server) finish(r *Request, status int, code string, received int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Status, r.Code, r.Received = status, code, received
	s.requests = append(s.requests, *r)
}

// Requests returns the log, in the order in which the requests were answered.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count returns how many requests there were for one operation, or for all with "".
func (s *Server) Count(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if operation == "" || r.Operation == operation {
			n++
		}
	}
	return n
}

// ResetLog empties the log, and so resets the counts.
func (s *Server) ResetLog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}
