package main

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

const (
	kmsRegion  = "eu-central-1"
	kmsDistant = "us-east-1"
)

// The whole command with keys of AWS KMS, on a server that answers as AWS documents. A
// and B are keys. MRK and MRK_DISTANT are keys of two regions with the same material.
// RSA is not symmetric. alias/team is A.
func TestScriptsKMS(t *testing.T) {
	runScripts(t, filepath.Join("testdata", "kms"), func(env *testscript.Env) {
		s, err := awsserver.NewKMS() // each script has its own, and counts its calls
		if err != nil {
			t.Fatal(err)
		}
		env.Defer(func() { _ = s.Close() })
		kms := &scriptKMS{server: s, keys: map[string]string{"A": s.CreateKey(kmsRegion), "B": s.CreateKey(kmsRegion), "RSA": s.CreateRSAKey(kmsRegion, false)}}
		arns := s.CreateMultiRegionKey(kmsRegion, kmsDistant)
		kms.keys["MRK"], kms.keys["MRK_DISTANT"] = arns[0], arns[1]
		s.SetAlias(kmsRegion, "alias/team", kms.keys["A"])
		for name, arn := range kms.keys {
			env.Setenv(name, arn)
		}
		env.Values[kmsKey{}] = kms
		env.Setenv("AWS_REGION", kmsRegion)
		env.Setenv("AWS_ENDPOINT_URL_KMS", s.URL())
		env.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
		env.Setenv("AWS_SECRET_ACCESS_KEY", "a-secret-access-key-that-nobody-may-see")
		env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	})
}

type kmsKey struct{}

// scriptKMS is what a script knows of the server.
type scriptKMS struct {
	server *awsserver.KMS
	keys   map[string]string // ARNs by their names in scripts
	stops  []func()
}

func (k *scriptKMS) clear() {
	for _, stop := range k.stops {
		stop()
	}
	k.stops = nil
}

// kms changes the server, or compares the calls since the last time:
//
//	kms KEY disable|delete|enable
//	kms deny OPERATION
//	kms throttle
//	kms allow
//	kms alias NAME KEY
//	kms called [OPERATION]…
func scriptKMSCommand(ts *testscript.TestScript, _ bool, args []string) {
	k, ok := ts.Value(kmsKey{}).(*scriptKMS)
	if !ok {
		ts.Fatalf("there is no KMS here")
	}
	states := map[string]string{"disable": awsserver.KMSDisabled, "delete": awsserver.KMSPendingDeletion, "enable": awsserver.KMSEnabled}
	switch args[0] {
	case "deny":
		k.stops = append(k.stops, k.server.Inject(awsserver.Fault{Operation: args[1], Deny: true}))
	case "throttle":
		k.stops = append(k.stops, k.server.Inject(awsserver.Fault{Error: awsserver.Throttled}))
	case "allow":
		k.clear()
	case "alias":
		k.server.SetAlias(kmsRegion, args[1], k.keys[args[2]])
	case "called":
		var got []string
		for _, r := range k.server.Requests() {
			got = append(got, r.Operation)
		}
		k.server.ResetLog()
		if !slices.Equal(got, args[1:]) {
			ts.Fatalf("called were %v", got)
		}
	default:
		k.server.SetState(k.keys[args[0]], states[args[1]])
	}
}
