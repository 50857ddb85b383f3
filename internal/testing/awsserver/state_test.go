package awsserver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

func clocked(t *testing.T) (*awsserver.Server, *time.Time) {
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	return newServer(t, awsserver.Options{Now: func() time.Time { return now }}), &now
}

func listed(t *testing.T, server *awsserver.Server, in map[string]any) (names []string) {
	t.Helper()
	for pages := 0; ; pages++ {
		got := send(t, server, "ListSecrets", in)
		if got.status != http.StatusOK || pages > 20 {
			t.Fatalf("page %d: %s", pages, got.raw)
		}
		for _, item := range got.body["SecretList"].([]any) {
			names = append(names, item.(map[string]any)["Name"].(string))
		}
		next, ok := got.body["NextToken"].(string)
		if !ok {
			return names
		}
		in = map[string]any{"NextToken": next, "MaxResults": in["MaxResults"], "SortBy": in["SortBy"], "SortOrder": in["SortOrder"]}
	}
}

func TestListsAreLate(t *testing.T) {
	server, now := clocked(t)
	server.SetListDelay(time.Minute)
	create(t, server, "a")
	if names := listed(t, server, nil); len(names) != 0 {
		t.Errorf("at once: %v", names)
	}
	if got := codes(t, server, 1, "GetSecretValue", get("a")); got != "200" {
		t.Errorf("read at once: %s", got)
	}
	*now = now.Add(time.Minute)
	if names := listed(t, server, nil); !slices.Equal(names, []string{"a"}) {
		t.Errorf("after the delay: %v", names)
	}
	send(t, server, "DeleteSecret", map[string]any{"SecretId": "a", "ForceDeleteWithoutRecovery": true})
	*now = now.Add(59 * time.Second)
	if names := listed(t, server, nil); len(names) != 1 || server.Versions("a") != 0 {
		t.Errorf("gone, but not from lists yet: %v", names)
	}
	*now = now.Add(time.Second)
	if names := listed(t, server, nil); len(names) != 0 {
		t.Errorf("gone: %v", names)
	}
}

func TestPagesAndOrders(t *testing.T) {
	server, now := clocked(t)
	for _, name := range []string{"c", "a", "e", "b", "d"} {
		create(t, server, name)
		*now = now.Add(time.Second)
	}
	send(t, server, "DeleteSecret", get("e"))
	for _, c := range []struct {
		in   map[string]any
		want string
	}{
		{map[string]any{}, "c a b d"},
		{map[string]any{"MaxResults": 1}, "c a b d"},
		{map[string]any{"MaxResults": 3, "SortBy": "name"}, "a b c d"},
		{map[string]any{"MaxResults": 3, "SortBy": "name", "SortOrder": "desc"}, "d c b a"},
		{map[string]any{"SortBy": "created-date", "SortOrder": "desc"}, "d b a c"},
		{map[string]any{"IncludePlannedDeletion": true}, "c a e b d"},
	} {
		if got := strings.Join(listed(t, server, c.in), " "); got != c.want {
			t.Errorf("%v: %s, want %s", c.in, got, c.want)
		}
	}
	server.SetPageSize(2)
	first := send(t, server, "ListSecrets", nil)
	if n := len(first.body["SecretList"].([]any)); n != 2 {
		t.Errorf("the page has %d", n)
	}
	// A deletion between two pages shifts nothing.
	send(t, server, "DeleteSecret", get("a"))
	second := send(t, server, "ListSecrets", map[string]any{"NextToken": first.body["NextToken"]})
	if !strings.Contains(second.raw, `"Name":"b"`) || !strings.Contains(second.raw, `"Name":"d"`) {
		t.Errorf("the second page: %s", second.raw)
	}
	other := map[string]any{"NextToken": first.body["NextToken"], "SortBy": "name"}
	if got := codes(t, server, 1, "ListSecrets", other); got != "400 InvalidNextTokenException" {
		t.Errorf("the token of another query: %s", got)
	}
}

func TestARNs(t *testing.T) {
	server, now := clocked(t)
	create(t, server, "a")
	arn, _ := send(t, server, "DescribeSecret", get("a")).body["ARN"].(string)
	for id, want := range map[string]string{
		arn: "200",
		strings.TrimSuffix(arn, arn[len(arn)-7:]):          "200",
		arn[:len(arn)-6] + "xxxxxx":                        "400 ResourceNotFoundException",
		strings.Replace(arn, "us-east-1", "eu-west-1", 1):  "400 ResourceNotFoundException",
		strings.Replace(arn, ":secret:a", ":secret:a!", 1): "400 ValidationException",
	} {
		if got := codes(t, server, 1, "GetSecretValue", get(id)); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	// A new secret with that name has another ARN.
	send(t, server, "DeleteSecret", map[string]any{"SecretId": "a", "ForceDeleteWithoutRecovery": true})
	*now = now.Add(5 * time.Second)
	create(t, server, "a")
	if got := codes(t, server, 1, "GetSecretValue", get(arn)); got != "400 ResourceNotFoundException" {
		t.Errorf("the old ARN: %s", got)
	}
}

func TestForcedDeletionCannotBeTakenBack(t *testing.T) {
	server, _ := clocked(t)
	create(t, server, "a")
	send(t, server, "DeleteSecret", map[string]any{"SecretId": "a", "ForceDeleteWithoutRecovery": true})
	if got := codes(t, server, 1, "RestoreSecret", get("a")); got != "400 InvalidRequestException" {
		t.Errorf("restore: %s", got)
	}
	if got := codes(t, server, 1, "GetSecretValue", get("a")); got != "400 InvalidRequestException" {
		t.Errorf("read: %s", got)
	}
}

func TestRandomPasswords(t *testing.T) {
	server, _ := clocked(t)
	got := send(t, server, "GetRandomPassword", map[string]any{"PasswordLength": 40, "ExcludePunctuation": true, "ExcludeCharacters": "abc", "IncludeSpace": true})
	password, _ := got.body["RandomPassword"].(string)
	if len(password) != 40 || strings.ContainsAny(password, "abc!\"#$%") || !strings.ContainsAny(password, "0123456789") || !strings.Contains(password, " ") {
		t.Errorf("the password is %q", password)
	}
	for _, in := range []map[string]any{
		{"PasswordLength": 0}, {"PasswordLength": 4097}, {"PasswordLength": 2},
		{"ExcludeNumbers": true, "ExcludePunctuation": true, "ExcludeLowercase": true, "ExcludeUppercase": true},
	} {
		if got := send(t, server, "GetRandomPassword", in); got.status != http.StatusBadRequest {
			t.Errorf("%v: %s", in, got.raw)
		}
	}
}
