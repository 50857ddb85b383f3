package awsserver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

func newServer(t *testing.T, o awsserver.Options) *awsserver.Server {
	t.Helper()
	server, err := awsserver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// signed returns a request in the form that an SDK gives it when it signs.
func signed(t *testing.T, server *awsserver.Server, operation string, in map[string]any) *http.Request {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, server.URL(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "secretsmanager."+operation)
	request.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%s/%s/secretsmanager/aws4_request, SignedHeaders=host;x-amz-date, Signature=%s",
		now.Format("20060102"), server.Region(), strings.Repeat("0", 64)))
	return request
}

func do(t *testing.T, request *http.Request) answer {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{status: response.StatusCode, header: response.Header, raw: string(raw)}
	if err := json.Unmarshal(raw, &got.body); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return got
}

func send(t *testing.T, server *awsserver.Server, operation string, in map[string]any) answer {
	t.Helper()
	return do(t, signed(t, server, operation, in))
}
