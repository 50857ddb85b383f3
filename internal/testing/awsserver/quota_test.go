package awsserver_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// A secret has at most 100 versions, and no version younger than a day is removed.
func TestVersionsQuota(t *testing.T) {
	server, now := clocked(t)
	create(t, server, "a")
	put := func(i int) string {
		return codes(t, server, 1, "PutSecretValue", map[string]any{"SecretId": "a", "SecretString": "v", "ClientRequestToken": token(fmt.Sprint(i))})
	}
	for i := range 99 {
		if got := put(i); got != "200" {
			t.Fatalf("version %d: %s", i+2, got)
		}
	}
	if got := put(99); got != "400 LimitExceededException" || server.Versions("a") != 100 {
		t.Errorf("the 101st: %s, %d versions", got, server.Versions("a"))
	}
	if got := put(98); got != "200" {
		t.Errorf("a repeated write makes no version: %s", got)
	}
	*now = now.Add(25 * time.Hour)
	if got := put(100); got != "200" || server.Versions("a") != 100 {
		t.Errorf("a day later: %s, %d versions", got, server.Versions("a"))
	}
	gone := map[string]any{"SecretId": "a", "VersionId": token("create a")}
	if got := codes(t, server, 1, "GetSecretValue", gone); got != "400 ResourceNotFoundException" {
		t.Errorf("the oldest: %s", got)
	}
}

func putStages(t *testing.T, server *awsserver.Server, version string, stages ...string) string {
	t.Helper()
	return codes(t, server, 1, "PutSecretValue", map[string]any{"SecretId": "a", "SecretString": version,
		"ClientRequestToken": token(version), "VersionStages": stages})
}

func moveStage(t *testing.T, server *awsserver.Server, stage, from, to string) string {
	t.Helper()
	in := map[string]any{"SecretId": "a", "VersionStage": stage}
	if from != "" {
		in["RemoveFromVersionId"] = token(from)
	}
	if to != "" {
		in["MoveToVersionId"] = token(to)
	}
	return codes(t, server, 1, "UpdateSecretVersionStage", in)
}

// All versions of a secret have at most 20 labels.
func TestLabelsQuota(t *testing.T) {
	server, _ := clocked(t)
	create(t, server, "a")
	for i := range 19 { // in addition to AWSCURRENT
		if got := putStages(t, server, fmt.Sprint(i), fmt.Sprint("LABEL-", i)); got != "200" {
			t.Fatalf("label %d: %s", i+2, got)
		}
	}
	if got := putStages(t, server, "one more", "ANOTHER"); got != "400 LimitExceededException" || server.Versions("a") != 20 {
		t.Errorf("the 21st: %s, %d versions", got, server.Versions("a"))
	}
	if got := moveStage(t, server, "ANOTHER", "", "3"); got != "400 LimitExceededException" {
		t.Errorf("the 21st label, on a version that exists: %s", got)
	}
	if got := putStages(t, server, "moves", "LABEL-0"); got != "200" || len(server.Labels("a")) != 20 {
		t.Errorf("a label that moves: %s, %q", got, server.Labels("a"))
	}
	if got := moveStage(t, server, "LABEL-1", "1", "3"); got != "200" || len(server.Labels("a")) != 20 {
		t.Errorf("a label that is moved: %s, %q", got, server.Labels("a"))
	}
	if got := moveStage(t, server, "LABEL-2", "2", ""); got != "200" {
		t.Errorf("a label is taken away: %s", got)
	}
	if got := putStages(t, server, "room", "ANOTHER"); got != "200" || len(server.Labels("a")) != 20 {
		t.Errorf("with room again: %s, %q", got, server.Labels("a"))
	}
	if got := codes(t, server, 1, "PutSecretValue", map[string]any{"SecretId": "a", "SecretString": "v", "ClientRequestToken": token("plain")}); got != "200" {
		t.Errorf("without a label of its own: %s", got)
	}
}

// A label is on one version: a new version takes it from the version that has it. If
// that was its last label, that version is deprecated.
func TestLabelsMoveToNewVersions(t *testing.T) {
	server, _ := clocked(t)
	create(t, server, "a")
	for _, version := range []string{"1", "2"} {
		if got := putStages(t, server, version, "OURS"); got != "200" {
			t.Fatal(got)
		}
	}
	stages := send(t, server, "DescribeSecret", get("a")).body["VersionIdsToStages"].(map[string]any)
	if _, there := stages[token("1")]; there || fmt.Sprint(stages[token("2")]) != "[OURS]" || len(stages) != 2 {
		t.Errorf("%v", stages)
	}
	if want := []string{"AWSCURRENT", "OURS"}; !slices.Equal(server.Labels("a"), want) {
		t.Errorf("%q", server.Labels("a"))
	}
	// A repeated write does nothing, and moves no label.
	if got := putStages(t, server, "1", "OURS"); got != "200" {
		t.Error(got)
	}
	stages = send(t, server, "DescribeSecret", get("a")).body["VersionIdsToStages"].(map[string]any)
	if fmt.Sprint(stages[token("2")]) != "[OURS]" {
		t.Errorf("after a repeated write: %v", stages)
	}
}

// The server compares the version that AWSCURRENT is moved from, which makes the move a
// conditional write.
func TestMovesCompare(t *testing.T) {
	server, _ := clocked(t)
	create(t, server, "a")
	putStages(t, server, "1", "OURS")
	for _, c := range []struct{ stage, from, to, want string }{
		{"AWSCURRENT", "", "1", "400 InvalidParameterException"},
		{"AWSCURRENT", "1", "1", "400 InvalidParameterException"},
		{"AWSCURRENT", "nobody", "1", "400 ResourceNotFoundException"},
		{"AWSCURRENT", "create a", "nobody", "400 ResourceNotFoundException"},
		{"AWSCURRENT", "create a", "", "400 InvalidParameterException"},
		{"NOWHERE", "create a", "1", "400 InvalidParameterException"},
		{"AWSCURRENT", "create a", "1", "200"},
		{"AWSCURRENT", "create a", "1", "400 InvalidParameterException"},
		{"OURS", "1", "", "200"},
		{"OURS", "1", "", "400 InvalidParameterException"},
	} {
		if got := moveStage(t, server, c.stage, c.from, c.to); got != c.want {
			t.Errorf("%s from %q to %q: %s, want %s", c.stage, c.from, c.to, got, c.want)
		}
	}
	got := send(t, server, "DescribeSecret", get("a")).body["VersionIdsToStages"].(map[string]any)
	if fmt.Sprint(got[token("1")], got[token("create a")]) != "[AWSCURRENT] [AWSPREVIOUS]" {
		t.Errorf("%v", got)
	}
}

// It is not known whether AWS lets a label move to a version that has none.
func TestMovesToDeprecated(t *testing.T) {
	for stay, want := range map[bool]string{false: "200", true: "400 ResourceNotFoundException"} {
		server, _ := clocked(t)
		server.SetDeprecatedStay(stay)
		create(t, server, "a")
		putStages(t, server, "1", "OURS")
		putStages(t, server, "2", "OURS")
		if got := moveStage(t, server, "AWSCURRENT", "create a", "1"); got != want {
			t.Errorf("%v: %s, want %s", stay, got, want)
		}
	}
}
