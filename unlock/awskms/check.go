package awskms

import (
	"context"
	"net/http"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/provider"
)

const check = "aws-kms"

// Check examines login, server and clock. For each configured key it examines the
// state, and whether it may encrypt. Whether it may decrypt shows when a slot is
// opened.
func (k *key) Check(ctx context.Context) []nebula.Finding {
	var x examination
	login, err := k.client.connect(ctx)
	if err != nil {
		x.failed(err)
		return x.Findings
	}
	account := login.Account()
	if account == "" {
		account = "not known without asking"
	}
	x.Add(check, nebula.SeverityOK, "credentials from "+login.Source()+", account "+account, "")
	for _, text := range k.config.keys() {
		x.key(ctx, k.client, parseNamed(text))
	}
	return x.Findings
}

// examination collects findings.
type examination struct{ provider.Findings }

func (x *examination) failed(err error) {
	x.Failed(check, kms().Explain(err, time.Now(), func(awsapi.Call) *nebula.Error { return nil }))
}

func (x *examination) key(ctx context.Context, c *client, key named) {
	out, header, err := c.describe(ctx, key)
	switch kind := nebula.KindOf(err); {
	case kind == nebula.ErrPermissionDenied && awsapi.HasCode(err, awsapi.CodeDenied):
		x.Add(check, nebula.SeverityWarning, "the state of "+key.text+" is not known: kms:DescribeKey is not allowed",
			"allow it: "+awsapi.Statement(key.text, "kms:DescribeKey"))
	case err != nil:
		x.failed(err)
		return
	default:
		if at, err := http.ParseTime(header.Get("Date")); err == nil {
			x.Findings = append(x.Findings, awsapi.CheckClock(at, c.clock.Now()))
		}
		if !x.state(key, out) {
			return
		}
	}
	switch err := c.mayEncrypt(ctx, key); {
	case err == nil:
		x.Add(check, nebula.SeverityOK, key.text+" may encrypt", "")
	case nebula.KindOf(err) == nebula.ErrPermissionDenied && awsapi.HasCode(err, awsapi.CodeDenied):
		x.Add(check, nebula.SeverityOK, key.text+" may not encrypt: no slot can be added for it from here, and a rotation keeps its slots' secrets", "")
	default:
		x.failed(err)
	}
}

// state reports whether a key can be used.
func (x *examination) state(key named, out describeOut) bool {
	m := out.Metadata
	switch {
	case m.Usage != "ENCRYPT_DECRYPT" || m.Spec != symmetric:
		x.failed(request{key: key}.notSymmetric())
		return false
	case m.State == "Enabled":
		x.Add(check, nebula.SeverityOK, key.text+" is enabled", "")
		return true
	}
	f := nebula.Finding{Check: check, Severity: nebula.SeverityError, Kind: nebula.ErrPermissionDenied,
		Message: "the state of the KMS key " + key.text + " is " + m.State, Fix: "aws kms enable-key --key-id " + key.text}
	if m.State == "PendingDeletion" {
		f.Fix = "aws kms cancel-key-deletion --key-id " + key.text
		if m.Deletion != nil {
			f.Message += ", until " + time.Unix(int64(*m.Deletion), 0).UTC().Format(time.DateOnly)
		}
	}
	x.Findings = append(x.Findings, f)
	return false
}
