package awskms_test

import (
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/unlock/awskms"
)

// liveKMS is the KMS of moto, in a region of the test's own.
type liveKMS struct {
	t        *testing.T
	login    *awsapi.Login
	endpoint awsapi.Endpoint
}

func newLiveKMS(t *testing.T) liveKMS {
	t.Helper()
	s := livetest.AWS(t)
	environment(t)
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretAccessKey)
	t.Setenv("AWS_ENDPOINT_URL_KMS", s.Endpoint)
	region := s.Region(t)
	login, err := awsapi.Connect(t.Context(), awsapi.Options{Region: region, MaxAnswer: 1 << 20, Timeout: 60e9})
	if err != nil {
		t.Fatal(err)
	}
	service := awsapi.Service{Name: "KMS", ID: "KMS", Code: "kms", Variable: "AWS_ENDPOINT_URL_KMS", Target: "TrentService"}
	address, err := login.Endpoint(t.Context(), service, region, "")
	if err != nil {
		t.Fatal(err)
	}
	return liveKMS{t, login, awsapi.Endpoint{Service: service, Region: region, URL: address}}
}

func (l liveKMS) call(operation string, in map[string]any, out any) {
	l.t.Helper()
	if _, err := l.login.Call(l.t.Context(), l.endpoint, operation, in, out); err != nil {
		l.t.Fatal(err)
	}
}

func (l liveKMS) newKey() (arn string) {
	l.t.Helper()
	var out struct{ KeyMetadata struct{ Arn string } }
	// If a key is made without KeyUsage, moto leaves it out of the key's description.
	l.call("CreateKey", map[string]any{"KeyUsage": "ENCRYPT_DECRYPT"}, &out)
	return out.KeyMetadata.Arn
}

func (l liveKMS) with(key string, also ...string) nebula.Renewer {
	l.t.Helper()
	return withConfig(l.t, awskms.Config{Key: key, Also: also, Region: l.endpoint.Region})
}

// A server that others made accepts our requests: by every name of a key, and for a
// rotation with two keys.
func TestLiveMoto(t *testing.T) {
	l := newLiveKMS(t)
	first, second := l.newKey(), l.newKey()
	var nothing any
	l.call("CreateAlias", map[string]any{"AliasName": "alias/team", "TargetKeyId": first}, &nothing)
	for _, name := range []string{first, first[strings.LastIndexByte(first, '/')+1:], "alias/team"} {
		slot, secret := newSlot(t, l.with(name))
		if data, err := slotdata.ParseAWSKMS(slot.Data); err != nil || data.ARN != first {
			t.Errorf("%s: the slot is for %q, %v", name, data.ARN, err)
		}
		opens(t, l.with(first), slot, secret)
		opens(t, l.with("alias/team"), slot, secret)
		other := slot
		other.ID = "abcdefg2"
		_, err := l.with(first).Secret(t.Context(), other)
		wants(t, err, nebula.ErrCorrupted, "abcdefg2")
	}
	for _, f := range l.with(first).(nebula.Checker).Check(t.Context()) {
		if f.Severity != nebula.SeverityOK {
			t.Errorf("the check says %+v", f)
		}
	}
	p := newPlace(t, l.with(first), l.with(second))
	result, err := p.with(t, l.with(first, second)).Rotate(t.Context(), nebula.RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.id = result.KeyID
	for _, key := range []string{first, second, "alias/team"} {
		if err := get(t, p.with(t, l.with(key))); err != nil {
			t.Errorf("by %s: %v", key, err)
		}
	}
	p = newPlace(t, l.with(second))
	// If the key is another one, moto only refuses. AWS says which key it is.
	if err := get(t, p.with(t, l.with("alias/team"))); nebula.KindOf(err) != nebula.ErrPermissionDenied || !strings.Contains(hintOf(err), second) {
		t.Errorf("by an alias of another key: %v, %s", err, hintOf(err))
	}
	_, _, err = l.with("alias/mistyped").NewSlot(t.Context(), slotID, [16]byte{})
	wants(t, err, nebula.ErrPermissionDenied, "there is no KMS key alias/mistyped")
}
