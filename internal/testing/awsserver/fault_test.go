package awsserver_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

func create(t *testing.T, server *awsserver.Server, name string) {
	t.Helper()
	in := map[string]any{"Name": name, "SecretString": "v", "ClientRequestToken": token("create " + name)}
	if got := send(t, server, "CreateSecret", in); got.status != http.StatusOK {
		t.Fatalf("create %s: %s", name, got.raw)
	}
}

func token(text string) string { return fmt.Sprintf("%-32s", text) }

func get(name string) map[string]any { return map[string]any{"SecretId": name} }

func codes(t *testing.T, server *awsserver.Server, n int, operation string, in map[string]any) string {
	t.Helper()
	var all []string
	for range n {
		got := send(t, server, operation, in)
		code, _ := got.body["__type"].(string)
		all = append(all, strings.TrimSpace(fmt.Sprint(got.status, " ", code)))
	}
	return strings.Join(all, ", ")
}

func TestFaultsByCount(t *testing.T) {
	server := newServer(t, awsserver.Options{})
	create(t, server, "app/a")
	create(t, server, "b")
	server.Inject(awsserver.Fault{Operation: "GetSecretValue", Secret: "app/*", Skip: 1, Times: 2, Error: awsserver.Throttled})
	if got := codes(t, server, 1, "GetSecretValue", get("b")); got != "200" {
		t.Errorf("another secret: %s", got)
	}
	if got := codes(t, server, 1, "DescribeSecret", get("app/a")); got != "200" {
		t.Errorf("another operation: %s", got)
	}
	want := "200, 400 ThrottlingException, 400 ThrottlingException, 200"
	if got := codes(t, server, 4, "GetSecretValue", get("app/a")); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	stop := server.Inject(awsserver.Fault{Error: awsserver.InternalError})
	if got := codes(t, server, 2, "ListSecrets", nil); got != "500 InternalServiceError, 500 InternalServiceError" {
		t.Errorf("without limit: %s", got)
	}
	stop()
	stop()
	if got := codes(t, server, 1, "ListSecrets", nil); got != "200" {
		t.Errorf("stopped: %s", got)
	}
}

func TestFaultsForAWhile(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	server := newServer(t, awsserver.Options{Now: func() time.Time { return now }})
	server.Inject(awsserver.Fault{For: 10 * time.Second, Error: awsserver.Throttled})
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, "400 ThrottlingException"}, {9999 * time.Millisecond, "400 ThrottlingException"}, {time.Millisecond, "200"}} {
		now = now.Add(step.after)
		if got := codes(t, server, 1, "ListSecrets", nil); got != step.want {
			t.Errorf("at %s: %s, want %s", now, got, step.want)
		}
	}
}

func TestRefusalsNameActionAndResource(t *testing.T) {
	server := newServer(t, awsserver.Options{})
	create(t, server, "a")
	arn, _ := send(t, server, "DescribeSecret", get("a")).body["ARN"].(string)
	server.Inject(awsserver.Fault{Operation: "GetSecretValue", Deny: true})
	server.Inject(awsserver.Fault{Operation: "TagResource", Deny: true})
	for name, resource := range map[string]string{"a": arn, "missing": "missing"} {
		got := send(t, server, "GetSecretValue", get(name))
		message, _ := got.body["message"].(string)
		want := "is not authorized to perform: secretsmanager:GetSecretValue on resource: " + resource + " because no identity-based policy allows the secretsmanager:GetSecretValue action"
		if got.body["__type"] != "AccessDeniedException" || !strings.HasSuffix(message, want) {
			t.Errorf("%s: %s", name, got.raw)
		}
	}
	batch := send(t, server, "BatchGetSecretValue", map[string]any{"SecretIdList": []string{"a"}})
	if batch.status != http.StatusOK || !strings.Contains(batch.raw, `"ErrorCode":"AccessDeniedException"`) {
		t.Errorf("in a batch: %s", batch.raw)
	}
	tagged := send(t, server, "CreateSecret", map[string]any{"Name": "t", "SecretString": "v", "ClientRequestToken": token("t"),
		"Tags": []map[string]string{{"Key": "k", "Value": "v"}}})
	if !strings.Contains(tagged.raw, "secretsmanager:TagResource on resource: t ") || server.Versions("t") != 0 {
		t.Errorf("created with tags: %s", tagged.raw)
	}
}

func TestLostAnswers(t *testing.T) {
	server := newServer(t, awsserver.Options{})
	create(t, server, "a")
	for _, c := range []struct {
		cut      awsserver.Cut
		versions int
	}{{awsserver.CutBefore, 1}, {awsserver.CutAfter, 2}} {
		server.Inject(awsserver.Fault{Operation: "PutSecretValue", Times: 1, Cut: c.cut})
		in := map[string]any{"SecretId": "a", "SecretString": "new", "ClientRequestToken": token("put")}
		response, err := http.DefaultClient.Do(signed(t, server, "PutSecretValue", in))
		if err == nil {
			_ = response.Body.Close()
			t.Errorf("cut %d: there is an answer: %s", c.cut, response.Status)
		}
		if n := server.Versions("a"); n != c.versions {
			t.Errorf("cut %d: %d versions", c.cut, n)
		}
	}
	// The repeated write finds the version that it wrote before.
	in := map[string]any{"SecretId": "a", "SecretString": "new", "ClientRequestToken": token("put")}
	if got := send(t, server, "PutSecretValue", in); got.status != http.StatusOK || server.Versions("a") != 2 {
		t.Errorf("repeated: %s, %d versions", got.raw, server.Versions("a"))
	}
}

func TestDelayEndsWithTheClient(t *testing.T) {
	server := newServer(t, awsserver.Options{})
	server.Inject(awsserver.Fault{Delay: time.Hour})
	client := &http.Client{Timeout: 50 * time.Millisecond}
	if response, err := client.Do(signed(t, server, "ListSecrets", nil)); err == nil {
		_ = response.Body.Close()
		t.Error("the server answered")
	}
	server.ClearFaults()
	server.Inject(awsserver.Fault{Delay: time.Millisecond})
	if got := codes(t, server, 1, "ListSecrets", nil); got != "200" {
		t.Errorf("delayed: %s", got)
	}
}

func TestLogHasNoValues(t *testing.T) {
	server := newServer(t, awsserver.Options{})
	create(t, server, "a")
	value := strings.Repeat("confidential", 50)
	send(t, server, "PutSecretValue", map[string]any{"SecretId": "a", "SecretString": value, "ClientRequestToken": token("x")})
	got := send(t, server, "GetSecretValue", get("missing"))
	send(t, server, "BatchGetSecretValue", map[string]any{"SecretIdList": []string{"a", "missing"}})
	log := server.Requests()
	if len(log) != 4 || server.Count("") != 4 || server.Count("PutSecretValue") != 1 {
		t.Fatalf("%d requests: %+v", len(log), log)
	}
	if text := fmt.Sprintf("%+v", log); strings.Contains(text, "confidential") {
		t.Errorf("a value is in %s", text)
	}
	if log[1].Secret != "a" || log[1].Sent < len(value) || log[1].Status != 200 {
		t.Errorf("the write: %+v", log[1])
	}
	if log[2].Code != "ResourceNotFoundException" || log[2].RequestID != got.header.Get("X-Amzn-Requestid") || log[2].Received != len(got.raw) {
		t.Errorf("the failure: %+v", log[2])
	}
	if log[3].Items != 2 {
		t.Errorf("the batch: %+v", log[3])
	}
	server.ResetLog()
	if server.Count("") != 0 {
		t.Error("the log is not empty")
	}
}

func TestSignatureForm(t *testing.T) {
	server := newServer(t, awsserver.Options{Region: "eu-central-1", AccessKeyID: "AKIDEXAMPLE"})
	for _, c := range []struct {
		want   string
		skew   time.Duration
		change func(http.Header)
	}{
		{"", 0, nil},
		{"", 4 * time.Minute, nil},
		{"InvalidSignatureException", 6 * time.Minute, nil},
		{"InvalidSignatureException", -6 * time.Minute, nil},
		{"MissingAuthenticationTokenException", 0, func(h http.Header) { h.Del("Authorization") }},
		{"IncompleteSignatureException", 0, func(h http.Header) { h.Set("Authorization", "Bearer x") }},
		{"IncompleteSignatureException", 0, func(h http.Header) { h.Set("X-Amz-Date", "20200101T000000Z") }},
		{"UnrecognizedClientException", 0, replace("AKIDEXAMPLE", "AKIDOTHER")},
		{"InvalidSignatureException", 0, replace("/secretsmanager/", "/kms/")},
		{"InvalidSignatureException", 0, replace("/eu-central-1/", "/us-east-1/")},
	} {
		server.SetClockSkew(c.skew)
		request := signed(t, server, "ListSecrets", nil)
		if c.change != nil {
			c.change(request.Header)
		}
		got := do(t, request)
		if code, _ := got.body["__type"].(string); code != c.want {
			t.Errorf("want %q, skew %s: %s", c.want, c.skew, got.raw)
		}
	}
}

func replace(old, other string) func(http.Header) {
	return func(h http.Header) { h.Set("Authorization", strings.Replace(h.Get("Authorization"), old, other, 1)) }
}

func TestSkewIsInTheDate(t *testing.T) {
	server := newServer(t, awsserver.Options{})
	server.SetClockSkew(-time.Hour)
	got := send(t, server, "ListSecrets", nil)
	date, err := http.ParseTime(got.header.Get("Date"))
	if ago := time.Since(date); err != nil || ago < 50*time.Minute || ago > 70*time.Minute {
		t.Errorf("Date is %s", got.header.Get("Date"))
	}
	if !strings.Contains(got.raw, "Signature not yet current") {
		t.Errorf("the server answered %s", got.raw)
	}
}

func TestUnknownRequests(t *testing.T) {
	server := newServer(t, awsserver.Options{})
	if got := codes(t, server, 1, "MakeCoffee", nil); got != "400 UnknownOperationException" {
		t.Errorf("an unknown operation: %s", got)
	}
	if got := codes(t, server, 1, "GetSecretValue", map[string]any{"SecretId": 7}); got != "400 SerializationException" {
		t.Errorf("another type: %s", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	server := newServer(t, awsserver.Options{})
	created := make(chan int, 50)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			in := map[string]any{"Name": "same", "SecretString": "v", "ClientRequestToken": token(fmt.Sprint(i))}
			created <- send(t, server, "CreateSecret", in).status
			create(t, server, fmt.Sprint("own-", i))
			send(t, server, "GetSecretValue", get("same"))
			send(t, server, "ListSecrets", nil)
			server.Inject(awsserver.Fault{Operation: "Nothing", Times: 1})
			_ = server.Requests()
		})
	}
	wg.Wait()
	close(created)
	won := 0
	for status := range created {
		if status == http.StatusOK {
			won++
		}
	}
	if won != 1 || len(server.Names()) != 51 {
		t.Errorf("%d created the same secret, there are %d", won, len(server.Names()))
	}
}
