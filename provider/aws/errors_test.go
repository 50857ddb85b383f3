package aws_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/aws"
)

// Each code of AWS in a failed read: the kind of the error, whether the read is
// repeated, whether a write may have been done, and words of the message.
func TestErrorCodes(t *testing.T) {
	environment(t)
	for _, c := range []struct {
		code, message string
		status        int
		kind          nebula.Kind
		unclear       bool
		words         string
	}{
		{"ResourceNotFoundException", "", 400, nebula.ErrNotFound, false, "no such credential"},
		{"ResourceExistsException", "", 400, nebula.ErrAlreadyExists, false, "there is one already"},
		{"AccessDeniedException", "", 400, nebula.ErrPermissionDenied, false, "secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-east-1:*:secret:nebula/credentials/x"},
		{"AccessDeniedException", "User: u is not authorized to perform: secretsmanager:TagResource on resource: r", 400, nebula.ErrPermissionDenied, false, "secretsmanager:TagResource on arn:"},
		{"AccessDeniedException", "not authorized to perform: evil:Thing<script> on", 400, nebula.ErrPermissionDenied, false, "secretsmanager:GetSecretValue"},
		{"AccessDeniedException", "Access to KMS is not allowed", 400, nebula.ErrPermissionDenied, false, "kms:Decrypt"},
		{"AccessDeniedException", "User: u is not authorized to perform: kms:GenerateDataKey on this resource", 400, nebula.ErrPermissionDenied, false, "kms:GenerateDataKey"},
		{"ExpiredToken", "", 400, nebula.ErrUnauthenticated, false, "expired"},
		{"ExpiredTokenException", "", 400, nebula.ErrUnauthenticated, false, "expired"},
		{"UnrecognizedClientException", "", 400, nebula.ErrUnauthenticated, false, "does not know"},
		{"InvalidClientTokenId", "", 403, nebula.ErrUnauthenticated, false, "does not know"},
		{"InvalidSignatureException", "", 400, nebula.ErrUnauthenticated, false, "signature"},
		{"InvalidSignatureException", "Signature expired: 1 is now earlier than 2", 400, nebula.ErrUnauthenticated, false, "clock"},
		{"InvalidSignatureException", "Signature not yet current: 1 is still later than 2", 400, nebula.ErrUnauthenticated, false, "clock"},
		{"SignatureDoesNotMatch", "", 403, nebula.ErrUnauthenticated, false, "signature"},
		{"RequestTimeTooSkewed", "", 403, nebula.ErrUnauthenticated, false, "clock"},
		{"IncompleteSignatureException", "", 400, nebula.ErrUnauthenticated, false, "form of the signature"},
		{"MissingAuthenticationTokenException", "", 400, nebula.ErrUnauthenticated, false, "form of the signature"},
		{"OptInRequired", "", 403, nebula.ErrUnauthenticated, false, "region"},
		{"ThrottlingException", "", 400, nebula.ErrUnavailable, false, "no more requests"},
		{"Throttling", "", 400, nebula.ErrUnavailable, false, "no more requests"},
		{"TooManyRequestsException", "", 429, nebula.ErrUnavailable, false, "no more requests"},
		{"RequestLimitExceeded", "", 503, nebula.ErrUnavailable, false, "no more requests"},
		{"LimitExceededException", "", 400, nebula.ErrTooLarge, false, "quota"},
		{"InternalServiceError", "", 500, nebula.ErrUnavailable, true, "InternalServiceError"},
		{"InternalFailure", "", 500, nebula.ErrUnavailable, true, "InternalFailure"},
		{"ServiceUnavailableException", "", 503, nebula.ErrUnavailable, true, "ServiceUnavailableException"},
		{"NobodyKnows", "", 502, nebula.ErrUnavailable, true, "status 502"},
		{"NobodyKnows", "", 400, nebula.ErrInternal, false, "status 400"},
		{"DecryptionFailure", "", 400, nebula.ErrInvalidConfig, false, "KMS key"},
		{"EncryptionFailure", "", 400, nebula.ErrInvalidConfig, false, "KMS key"},
		{"InvalidParameterException", "", 400, nebula.ErrInvalidConfig, false, "rejects"},
		{"ValidationException", "", 400, nebula.ErrInvalidConfig, false, "rejects"},
		{"PreconditionNotMetException", "", 400, nebula.ErrConflict, false, "state of the secret"},
		{"UnknownOperationException", "", 400, nebula.ErrInvalidConfig, false, "not AWS Secrets Manager"},
		{"InvalidNextTokenException", "", 400, nebula.ErrConflict, false, "list again"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(c.status)
			fmt.Fprintf(w, `{"__type":%q,"message":%q}`, c.code, c.message)
		}))
		config := aws.DefaultConfig()
		config.Region, config.EndpointURL, config.Retry.MaxRetries = "us-east-1", server.URL, 0
		p := open(t, config)
		name, _ := record(t, "x", "", nil)
		_, err := p.Retrieve(t.Context(), name)
		wants(t, err, c.kind, c.words)
		if errors.Is(err, provider.ErrUnclear) != c.unclear {
			t.Errorf("%s %q: unclear is %v", c.code, c.message, !c.unclear)
		}
		if provider.Transient(err) != (c.kind == nebula.ErrUnavailable) {
			t.Errorf("%s: transient is %v", c.code, provider.Transient(err))
		}
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != c.code {
			t.Errorf("%s: the SDK's error cannot be reached in %v", c.code, err)
		}
		if strings.Contains(err.Error(), "script") || strings.Contains(err.Error(), "NobodyKnows") {
			t.Errorf("the server's own words are shown: %v", err)
		}
		server.Close()
	}
}

// A failure at the quota of versions names the quota, and what to do.
func TestQuotas(t *testing.T) {
	environment(t)
	s := newServer(t, awsserver.Options{})
	p := open(t, configFor(s))
	name, e := record(t, "x", "v", nil)
	version, err := p.Store(t.Context(), name, e, nebula.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		operation, words string
		condition        nebula.Precondition
		id               string
	}{
		{"PutSecretValue", "24 hours", nebula.Precondition{}, "x"},
		{"PutSecretValue", "24 hours", nebula.IfVersion(version), "x"},
		{"CreateSecret", "secrets of this account", nebula.IfAbsent(), "y"},
	} {
		stop := s.Inject(awsserver.Fault{Operation: c.operation, Error: awsserver.QuotaExceeded})
		s.ResetLog()
		name, e := record(t, c.id, "w", nil)
		_, err := p.Store(t.Context(), name, e, nebula.StoreOptions{Precondition: c.condition})
		wants(t, err, nebula.ErrTooLarge, "quota", c.words)
		if n := s.Count(c.operation); n != 1 {
			t.Errorf("%s: %d attempts", c.operation, n)
		}
		stop()
	}
}

// actionsOf returns the actions that each operation needs.
func actionsOf() map[string][]string {
	return map[string][]string{
		"retrieve": {"GetSecretValue"}, "exists": {"DescribeSecret"}, "list": {"ListSecrets"},
		"history": {"DescribeSecret", "ListSecretVersionIds"}, "version": {"GetSecretValue"},
		"new": {"CreateSecret", "TagResource", "DescribeSecret"}, "absent": {"CreateSecret", "TagResource"},
		"again":  {"DescribeSecret", "PutSecretValue", "TagResource", "UntagResource"},
		"over":   {"DescribeSecret", "PutSecretValue", "UpdateSecretVersionStage"},
		"delete": {"DescribeSecret", "DeleteSecret"}, "restore": {"DescribeSecret", "RestoreSecret"}, "purge": {"DescribeSecret", "DeleteSecret"},
	}
}

// The policies of docs/providers/aws.md have every action that the provider needs,
// and no other.
func TestPagePolicies(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "providers", "aws.md"))
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if !json.Valid([]byte(m[1])) {
			t.Errorf("not JSON: %s", m[1])
		}
		for _, action := range regexp.MustCompile(`"secretsmanager:(\w+)"`).FindAllStringSubmatch(m[1], -1) {
			if allowed[action[1]] {
				t.Errorf("%s is allowed twice", action[1])
			}
			allowed[action[1]] = true
		}
	}
	taken := map[string]bool{"BatchGetSecretValue": true} // without it, reads go one by one
	for _, actions := range actionsOf() {
		for _, action := range actions {
			taken[action] = true
		}
	}
	if !maps.Equal(allowed, taken) {
		t.Errorf("the page allows %v, and the provider needs %v", slices.Sorted(maps.Keys(allowed)), slices.Sorted(maps.Keys(taken)))
	}
}

// If a permission is missing, the error names it, for each action and each operation
// that needs it: these are the policies of docs/providers/aws.md.
func TestPermissions(t *testing.T) {
	environment(t)
	for operation, actions := range actionsOf() {
		for _, action := range actions {
			t.Run(operation+"/"+action, func(t *testing.T) {
				s := newServer(t, awsserver.Options{})
				p := open(t, configFor(s))
				call := prepared(t, p, operation)
				s.Inject(awsserver.Fault{Operation: action, Deny: true})
				s.ResetLog()
				err := call()
				wants(t, err, nebula.ErrPermissionDenied, "secretsmanager:"+action+" on ", "add to the policy")
				if resource := "secret:nebula/credentials/"; action != "ListSecrets" {
					wants(t, err, nebula.ErrPermissionDenied, resource)
				}
			})
		}
		t.Run(operation+"/no more", func(t *testing.T) {
			s := newServer(t, awsserver.Options{})
			p := open(t, configFor(s))
			call := prepared(t, p, operation)
			s.ResetLog()
			if err := call(); err != nil {
				t.Fatal(err)
			}
			for _, r := range s.Requests() {
				if !strings.Contains(strings.Join(actions, " "), r.Operation) {
					t.Errorf("it needs %s, which the list does not have", r.Operation)
				}
			}
		})
	}
}

// prepared returns an operation, with everything in place that it needs to succeed.
func prepared(t *testing.T, p full, operation string) func() error {
	t.Helper()
	ctx := t.Context()
	name, e := record(t, "a", "value", map[string]string{"old": "1"})
	var version nebula.Version
	if operation != "new" && operation != "absent" {
		var err error
		if version, err = p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if operation == "restore" {
		if err := remove(ctx, p, name); err != nil {
			t.Fatal(err)
		}
	}
	store := func(o nebula.StoreOptions, tags map[string]string) func() error {
		_, e := record(t, "a", "next", tags)
		return func() error { _, err := p.Store(ctx, name, e, o); return err }
	}
	switch operation {
	case "retrieve":
		return func() error { _, err := p.Retrieve(ctx, name); return err }
	case "exists":
		return func() error { _, err := p.Exists(ctx, name); return err }
	case "list":
		return func() error { return pages(ctx, p, nebula.Filter{}) }
	case "history":
		return func() error { _, err := p.History(ctx, name); return err }
	case "version":
		return func() error {
			_, err := p.RetrieveVersion(ctx, name, version)
			return err
		}
	case "new":
		return store(nebula.StoreOptions{}, nil)
	case "absent":
		return store(nebula.StoreOptions{Precondition: nebula.IfAbsent()}, nil)
	case "again":
		return store(nebula.StoreOptions{}, map[string]string{"new": "2"})
	case "over":
		return store(nebula.StoreOptions{Precondition: nebula.IfVersion(version)}, map[string]string{"old": "1"})
	case "delete":
		return func() error { return remove(ctx, p, name) }
	case "restore":
		return func() error { return p.Restore(ctx, name) }
	case "purge":
		return func() error { return purge(ctx, p, name) }
	}
	t.Fatal(operation)
	return nil
}
