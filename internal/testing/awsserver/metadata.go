package awsserver

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Metadata is where an AWS machine finds its own credentials: the metadata service of
// EC2 (version 2 only) and the endpoint of a container. AWS documents the first in the
// EC2 User Guide, "Retrieve security credentials from instance metadata" and "Use the
// Instance Metadata Service"; the second in the SDKs Reference Guide, "Container
// credential provider".
//
// Clients find them by AWS_EC2_METADATA_SERVICE_ENDPOINT, and by
// AWS_CONTAINER_CREDENTIALS_FULL_URI with AWS_CONTAINER_AUTHORIZATION_TOKEN.
type Metadata struct {
	injector
	listener net.Listener
	http     *http.Server
	token    string

	mu       sync.Mutex
	region   string
	role     string
	code     string
	lifetime time.Duration
	requests []string
}

// The operations of Metadata, for faults. If a fault has an Error, the answer has its
// status, and the message as text for EC2 and as JSON for a container.
const (
	MetadataToken       = "token"
	MetadataRegion      = "region"
	MetadataRole        = "role"
	MetadataCredentials = "credentials"
	MetadataContainer   = "container"
)

// NewMetadata starts a metadata service on a free port of the loopback interface, for a
// machine in this region with a role called "role".
func NewMetadata(region string) (*Metadata, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &Metadata{listener: listener, token: random(40, alphanumeric), region: region, role: "role", code: "Success", lifetime: 6 * time.Hour}
	m.clock = time.Now
	m.http = &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	go func() { _ = m.http.Serve(listener) }()
	return m, nil
}

// URL returns the value for AWS_EC2_METADATA_SERVICE_ENDPOINT.
func (m *Metadata) URL() string { return "http://" + m.listener.Addr().String() }

// ContainerURL returns the value for AWS_CONTAINER_CREDENTIALS_FULL_URI.
func (m *Metadata) ContainerURL() string { return m.URL() + "/container" }

// ContainerToken returns the value for AWS_CONTAINER_AUTHORIZATION_TOKEN.
func (m *Metadata) ContainerToken() string { return m.token }

// Close ends the server and cuts all connections.
func (m *Metadata) Close() error { return m.http.Close() }

// SetRole changes the machine's role; "" means none.
func (m *Metadata) SetRole(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.role = name
}

// SetCode changes the code that comes with EC2's credentials. With a code other than
// Success, such as AssumeRoleUnauthorizedAccess, they come without keys.
func (m *Metadata) SetCode(code string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.code = code
}

// SetLifetime sets how long the credentials last that it gives from now on. The first
// value is 6 hours.
func (m *Metadata) SetLifetime(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lifetime = d
}

// Count returns how many requests there were for an operation.
func (m *Metadata) Count(operation string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, one := range m.requests {
		if one == operation {
			n++
		}
	}
	return n
}

const credentialsPath = "/latest/meta-data/iam/security-credentials/"

// ServeHTTP answers for EC2 and for a container.
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := m.begin(r)
	fault := m.takeFault(operation, "")
	if !fault.passes(r.Context()) || fault.Cut == CutAfter {
		panic(http.ErrAbortHandler)
	}
	status, body := m.answer(operation, r)
	if fault.Error != nil {
		status, body = fault.Error.status(), []byte(fault.Error.Message)
		if operation == MetadataContainer {
			body = encode(map[string]string{"code": fault.Error.Code, "message": fault.Error.Message})
		}
	}
	if operation == MetadataToken {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (m *Metadata) begin(r *http.Request) string {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxBody))
	operation := ""
	switch {
	case r.URL.Path == "/container":
		operation = MetadataContainer
	case r.URL.Path == "/latest/api/token":
		operation = MetadataToken
	case r.URL.Path == "/latest/dynamic/instance-identity/document", r.URL.Path == "/latest/meta-data/placement/region":
		operation = MetadataRegion
	case r.URL.Path == credentialsPath:
		operation = MetadataRole
	case strings.HasPrefix(r.URL.Path, credentialsPath):
		operation = MetadataCredentials
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, operation)
	return operation
}

func (m *Metadata) answer(operation string, r *http.Request) (status int, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch operation {
	case MetadataToken:
		if r.Method != http.MethodPut {
			return http.StatusMethodNotAllowed, nil
		}
		return http.StatusOK, []byte(m.token)
	case MetadataContainer:
		if r.Header.Get("Authorization") != m.token {
			return http.StatusUnauthorized, encode(map[string]string{"code": "AccessDenied", "message": "The token is missing or wrong."})
		}
		k := newKeys(m.clock().Add(m.lifetime))
		return http.StatusOK, encode(map[string]string{"AccessKeyId": k.AccessKeyId, "SecretAccessKey": k.SecretAccessKey, "Token": k.SessionToken, "Expiration": k.Expiration})
	}
	if r.Header.Get("X-Aws-Ec2-Metadata-Token") != m.token {
		return http.StatusUnauthorized, nil
	}
	switch {
	case operation == MetadataRegion && strings.HasSuffix(r.URL.Path, "/document"):
		return http.StatusOK, encode(map[string]string{"region": m.region})
	case operation == MetadataRegion:
		return http.StatusOK, []byte(m.region)
	case operation == MetadataRole && m.role != "":
		return http.StatusOK, []byte(m.role)
	case operation == MetadataCredentials && m.role != "" && strings.HasSuffix(r.URL.Path, "/"+m.role):
		return http.StatusOK, m.credentials()
	}
	return http.StatusNotFound, nil
}

func (m *Metadata) credentials() []byte {
	now := m.clock()
	out := map[string]string{"Code": m.code, "LastUpdated": now.UTC().Format(time.RFC3339)}
	if m.code != "Success" {
		out["Message"] = "There are no credentials for the role."
		return encode(out)
	}
	k := newKeys(now.Add(m.lifetime))
	out["Type"], out["AccessKeyId"], out["SecretAccessKey"], out["Token"], out["Expiration"] = "AWS-HMAC", k.AccessKeyId, k.SecretAccessKey, k.SessionToken, k.Expiration
	return encode(out)
}

func encode(body map[string]string) []byte {
	data, _ := json.Marshal(body) // texts only
	return data
}
