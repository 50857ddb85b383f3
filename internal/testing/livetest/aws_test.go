package livetest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// callAWS sends one operation in a region. The server does not verify the signature.
func callAWS(t *testing.T, s *AWSServer, region, operation, body string) (string, error) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, s.Endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", "secretsmanager."+operation)
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.AccessKeyID+"/20260101/"+region+
		"/secretsmanager/aws4_request, SignedHeaders=host, Signature=0")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, data)
	}
	return string(data), err
}

const awsSecret = `{"Name":"x","SecretString":"v","ClientRequestToken":"00000000-0000-4000-8000-000000000000"}`

func TestLiveAWSIsSharedAndRegionsAreApart(t *testing.T) {
	server := AWS(t)
	if again := AWS(t); again != server {
		t.Errorf("there are two servers: %s and %s", server.Endpoint, again.Endpoint)
	}
	region := server.Region(t)
	for _, r := range []string{region, server.Region(t)} {
		if _, err := callAWS(t, server, r, "CreateSecret", awsSecret); err != nil {
			t.Errorf("create in %s: %v", r, err)
		}
	}
	list, err := callAWS(t, server, region, "ListSecrets", "{}")
	if err != nil || strings.Count(list, `"ARN"`) != 1 || !strings.Contains(list, ":"+region+":") {
		t.Errorf("listed %s, %v", list, err)
	}
}

func TestLiveAWSStopsAndStarts(t *testing.T) {
	server := NewAWS(t)
	endpoint := server.Endpoint
	server.Stop(t)
	if _, err := callAWS(t, server, "us-east-1", "ListSecrets", "{}"); err == nil {
		t.Error("the server answers after Stop")
	}
	server.Start(t)
	if server.Endpoint != endpoint {
		t.Errorf("the server was at %s and is at %s", endpoint, server.Endpoint)
	}
	if _, err := callAWS(t, server, "us-east-1", "CreateSecret", awsSecret); err != nil {
		t.Error(err)
	}
}

func TestLiveExistingAWS(t *testing.T) {
	server := NewAWS(t)
	out, err := rerun(t, "TestLiveAWSIsSharedAndRegionsAreApart",
		"NEBULA_TEST_AWS_ENDPOINT="+server.Endpoint, "NEBULA_TESTSERVER_CACHE="+t.TempDir(), "NEBULA_REQUIRE_LIVE=1").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWithoutAWSSkippedAndSaysHow(t *testing.T) {
	out, err := rerun(t, "TestLiveAWSIsSharedAndRegionsAreApart",
		"NEBULA_TEST_AWS_ENDPOINT=", "NEBULA_TESTSERVER_CACHE="+t.TempDir(), "NEBULA_REQUIRE_LIVE=").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- SKIP") {
		t.Fatalf("%v\n%s", err, out)
	}
	// If there is no Python either, the message says what to install.
	if !strings.Contains(string(out), "go -C testservers run . build") && !strings.Contains(string(out), "python3-venv") {
		t.Errorf("the message does not say what to do:\n%s", out)
	}
}

func TestLiveAWSEndsWithTheTestBinary(t *testing.T) {
	endsWithTheTestBinary(t, func() string { return AWS(t).Endpoint })
}
