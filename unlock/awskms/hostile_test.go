package awskms_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/unlock/awskms"
)

// answering returns a server that answers every call by the handler.
func answering(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// If another server answers in the place of KMS, its answer is neither believed nor shown.
func TestHostileServers(t *testing.T) {
	s := newKMS(t)
	arn, other := s.CreateKey(region), s.CreateKey(region)
	slot, secret := newSlot(t, with(t, arn))
	reply := func(status int, v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(v)
		}
	}
	var elsewhere atomic.Int64
	target := answering(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		open    nebula.Kind
		make    nebula.Kind
	}{
		"another key": {reply(200, map[string]any{"KeyId": other, "Plaintext": secret, "CiphertextBlob": []byte("x")}), nebula.ErrWrongKey, nebula.ErrUnavailable},
		"another key, which encrypts nothing": {func(w http.ResponseWriter, r *http.Request) {
			var in struct{ Plaintext, CiphertextBlob []byte }
			_ = json.NewDecoder(r.Body).Decode(&in)
			_ = json.NewEncoder(w).Encode(map[string]any{"KeyId": other, "CiphertextBlob": in.Plaintext, "Plaintext": in.CiphertextBlob})
		}, nebula.ErrWrongKey, nebula.ErrUnavailable},
		"an escape": {reply(200, map[string]any{"KeyId": "\x1b[2J", "Plaintext": secret, "CiphertextBlob": []byte("x")}), nebula.ErrWrongKey, nebula.ErrUnavailable},
		"no key":    {reply(200, map[string]any{"Plaintext": secret, "CiphertextBlob": []byte("x")}), nebula.ErrWrongKey, nebula.ErrUnavailable},
		"a short secret": {reply(200, map[string]any{"KeyId": arn, "Plaintext": secret[:31], "CiphertextBlob": []byte("x")}),
			nebula.ErrCorrupted, nebula.ErrUnavailable},
		"a long ciphertext": {reply(200, map[string]any{"KeyId": arn, "Plaintext": secret, "CiphertextBlob": make([]byte, 6145)}), "", nebula.ErrUnavailable},
		"nothing":           {reply(200, map[string]any{}), nebula.ErrWrongKey, nebula.ErrUnavailable},
		"no JSON":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>SECRET-TEXT")) }, nebula.ErrInvalidConfig, nebula.ErrInvalidConfig},
		"no such page":      {reply(404, "SECRET-TEXT"), nebula.ErrInvalidConfig, nebula.ErrInvalidConfig},
		"an echo": {reply(400, map[string]string{"__type": "SomethingException", "message": "SECRET-TEXT"}),
			nebula.ErrInternal, nebula.ErrInternal},
		"too much": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) }, nebula.ErrTooLarge, nebula.ErrTooLarge},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
		}, nebula.ErrInvalidConfig, nebula.ErrInvalidConfig},
	} {
		t.Run(name, func(t *testing.T) {
			key := withConfig(t, awskms.Config{Key: arn, EndpointURL: answering(t, c.handler).URL, Clock: hasty{}})
			_, err := key.Secret(t.Context(), slot)
			wants(t, err, c.open)
			if err != nil && strings.Contains(err.Error(), "SECRET-TEXT") {
				t.Errorf("the error shows the server's text: %v", err)
			}
			_, _, made := key.NewSlot(t.Context(), slotID, [16]byte{})
			wants(t, made, c.make)
			for _, err := range []error{err, made} {
				if err != nil && strings.ContainsAny(err.Error(), "\x1b") {
					t.Errorf("the error shows the server's text: %v", err)
				}
			}
		})
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// A server that never answers costs one attempt.
func TestSilentServer(t *testing.T) {
	s := newKMS(t)
	arn := s.CreateKey(region)
	slot, _ := newSlot(t, with(t, arn))
	s.Inject(awsserver.Fault{Delay: time.Minute})
	began := time.Now()
	_, err := with(t, arn).Secret(t.Context(), slot)
	wants(t, err, nebula.ErrTimeout, "did not answer in time")
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

// The answers of AWS show that the clock of the machine is off, and so do its refusals.
func TestClock(t *testing.T) {
	s := newKMS(t)
	arn := s.CreateKey(region)
	slot, _ := newSlot(t, with(t, arn))
	check := func() (severity nebula.Severity, said string) {
		for _, f := range with(t, arn).(nebula.Checker).Check(t.Context()) {
			if f.Severity != nebula.SeverityOK {
				severity, said = f.Severity, said+f.Message
			}
		}
		return severity, said
	}
	if severity, said := check(); severity != "" {
		t.Errorf("%s: %s", severity, said)
	}
	s.SetClockSkew(3 * time.Minute)
	if severity, said := check(); severity != nebula.SeverityWarning || !strings.Contains(said, "clock and AWS's differ by") {
		t.Errorf("%s: %s", severity, said)
	}
	s.SetClockSkew(time.Hour)
	if severity, said := check(); severity != nebula.SeverityError || !strings.Contains(said, "clock is off") {
		t.Errorf("%s: %s", severity, said)
	}
	_, err := with(t, arn).Secret(t.Context(), slot)
	wants(t, err, nebula.ErrUnauthenticated, "clock is off")
}

// doctor says what is wrong with a key, and what it cannot find out.
func TestCheck(t *testing.T) {
	s := newKMS(t)
	arn, rsa := s.CreateKey(region), s.CreateRSAKey(region, true)
	for name, c := range map[string]struct {
		prepare  func() (undo func())
		key      string
		severity nebula.Severity
		says     string
	}{
		"works":            {func() func() { return func() {} }, arn, nebula.SeverityOK, "is enabled"},
		"disabled":         {state(s, arn, awsserver.KMSDisabled), arn, nebula.SeverityError, "is Disabled"},
		"to be deleted":    {state(s, arn, awsserver.KMSPendingDeletion), arn, nebula.SeverityError, "PendingDeletion, until 20"},
		"not symmetric":    {func() func() { return func() {} }, rsa, nebula.SeverityError, "not a symmetric key"},
		"not there":        {func() func() { return func() {} }, "alias/mistyped", nebula.SeverityError, "there is no KMS key alias/mistyped"},
		"may not describe": {func() func() { return s.Inject(awsserver.Fault{Operation: "DescribeKey", Deny: true}) }, arn, nebula.SeverityWarning, "kms:DescribeKey is not allowed"},
		"may not encrypt":  {func() func() { return s.Inject(awsserver.Fault{Operation: "Encrypt", Deny: true}) }, arn, nebula.SeverityOK, "may not encrypt"},
		"is unreachable":   {func() func() { return s.Inject(awsserver.Fault{Error: awsserver.KMSTimeout}) }, arn, nebula.SeverityError, "DependencyTimeoutException"},
	} {
		t.Run(name, func(t *testing.T) {
			defer c.prepare()()
			worst, said := nebula.SeverityOK, ""
			for _, f := range withConfig(t, awskms.Config{Key: c.key, Region: region, Clock: hasty{}}).(nebula.Checker).Check(t.Context()) {
				if f.Severity != nebula.SeverityOK {
					worst = f.Severity
				}
				said += f.Message + "\n"
			}
			if worst != c.severity || !strings.Contains(said, c.says) {
				t.Errorf("%s: %s", worst, said)
			}
		})
	}
}

// The endpoint is the one that AWS's own tools choose, unless the configuration has one.
func TestEndpoints(t *testing.T) {
	s, wrong := newKMS(t), "http://127.0.0.1:1"
	arn := s.CreateKey(region)
	slot, secret := newSlot(t, with(t, arn))
	profile := func(lines string) {
		t.Setenv("AWS_PROFILE", "work")
		if err := os.WriteFile(os.Getenv("AWS_CONFIG_FILE"), []byte("[profile work]\nregion = "+region+"\n"+lines), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, set := range map[string]func() (configured string){
		"configuration": func() string { t.Setenv("AWS_ENDPOINT_URL_KMS", wrong); return s.URL() },
		"own variable": func() string {
			t.Setenv("AWS_ENDPOINT_URL_KMS", s.URL())
			t.Setenv("AWS_ENDPOINT_URL", wrong)
			return ""
		},
		"general variable": func() string {
			t.Setenv("AWS_ENDPOINT_URL", s.URL())
			profile("services = s\n[services s]\nkms =\n  endpoint_url = " + wrong + "\n")
			return ""
		},
		"profile": func() string { profile("endpoint_url = " + s.URL() + "\n"); return "" },
		"service in the profile": func() string {
			profile("endpoint_url = " + wrong + "\nservices = s\n[services s]\nkms =\n  endpoint_url = " + s.URL() + "\n")
			return ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"} {
				t.Setenv(variable, "")
				_ = os.Unsetenv(variable)
			}
			opens(t, withConfig(t, awskms.Config{Key: arn, EndpointURL: set()}), slot, secret)
		})
	}
}

// A call is repeated if its failure may pass, and not if AWS refuses it.
func TestRepeatedCalls(t *testing.T) {
	s := newKMS(t)
	arn := s.CreateKey(region)
	slot, secret := newSlot(t, with(t, arn))
	for name, c := range map[string]struct {
		fault awsserver.Fault
		calls int
		kind  nebula.Kind
	}{
		"throttled twice":        {awsserver.Fault{Error: awsserver.Throttled, Times: 2}, 3, ""},
		"unavailable once":       {awsserver.Fault{Error: awsserver.KMSInternal, Times: 1}, 2, ""},
		"throttled for long":     {awsserver.Fault{Error: awsserver.Throttled}, 6, nebula.ErrUnavailable},
		"denied":                 {awsserver.Fault{Deny: true}, 1, nebula.ErrPermissionDenied},
		"an answer that is lost": {awsserver.Fault{Cut: awsserver.CutAfter, Times: 1}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s.ResetLog()
			defer s.Inject(c.fault)()
			got, err := withConfig(t, awskms.Config{Key: arn, Region: region, Clock: hasty{}}).Secret(t.Context(), slot)
			wants(t, err, c.kind)
			if n := s.Count("Decrypt"); n != c.calls || err == nil && string(got) != string(secret) {
				t.Errorf("%d calls", n)
			}
		})
	}
}
