package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/provider"
)

// Check reports the identity and the server, and tries each permission on a
// secret that does not exist: IAM decides before AWS looks for it. It makes
// twelve calls and changes nothing. Neither CreateSecret nor the use of the KMS
// key can be tried that way.
func (d *driver) Check(ctx context.Context) []nebula.Finding {
	x := &examination{d: d}
	s := d.session.Load()
	account := s.login.Account()
	if account == "" {
		account = "not known without asking"
	}
	x.Add("identity", nebula.SeverityOK, "credentials from "+s.login.Source()+", account "+account, "")
	x.Add("region", nebula.SeverityOK, s.login.Region+", asking "+s.service.Host, "")
	if x.server(ctx) {
		x.permissions(ctx)
		x.contents(ctx)
	}
	return x.Findings
}

// examination collects findings.
type examination struct {
	d *driver
	provider.Findings
}

// server examines whether AWS answers to these credentials, and the clock.
func (x *examination) server(ctx context.Context) bool {
	const check = "server"
	ctx, cancel := context.WithTimeout(ctx, x.d.config.Timeout)
	defer cancel()
	began := x.d.clock.Now()
	s, err := x.d.describe(ctx, nebula.KeyringName())
	if err != nil && !isMissing(err) && !awsapi.HasCode(err, awsapi.CodeDenied) {
		x.Failed(check, x.d.Explain(nebula.Name{}, err))
		return false
	}
	x.Add(check, nebula.SeverityOK, "answers", "")
	if err != nil {
		return true
	}
	x.Findings = append(x.Findings, awsapi.CheckClock(s.now, began))
	return true
}

// need is an action, and a call that IAM refuses without it and that changes
// nothing.
type need struct {
	action string
	call   func(context.Context) error
}

// needs returns the actions that operations take, on a secret whose random name
// nobody uses.
func (d *driver) needs() []need {
	client, id := d.client(), d.config.SecretPrefix+"nebula_check_"+newToken(uuidRandom)
	token, value, stage, size, days := newToken(uuidRandom), "-", stagePending, int32(1), int64(d.config.RecoveryWindowDays)
	return []need{
		{"GetSecretValue", func(ctx context.Context) error {
			_, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
			return err
		}},
		{"DescribeSecret", func(ctx context.Context) error {
			_, err := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
			return err
		}},
		{"ListSecretVersionIds", func(ctx context.Context) error {
			_, err := client.ListSecretVersionIds(ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: &id})
			return err
		}},
		{"ListSecrets", func(ctx context.Context) error {
			_, err := client.ListSecrets(ctx, &secretsmanager.ListSecretsInput{MaxResults: &size})
			return err
		}},
		{"BatchGetSecretValue", func(ctx context.Context) error {
			_, err := client.BatchGetSecretValue(ctx, &secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{id}})
			return err
		}},
		{"PutSecretValue", func(ctx context.Context) error {
			_, err := client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &value, ClientRequestToken: &token})
			return err
		}},
		{"UpdateSecretVersionStage", func(ctx context.Context) error {
			_, err := client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{SecretId: &id, VersionStage: &stage, RemoveFromVersionId: &token})
			return err
		}},
		{"TagResource", func(ctx context.Context) error {
			_, err := client.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: &id, Tags: []types.Tag{newTag("k", "v")}})
			return err
		}},
		{"UntagResource", func(ctx context.Context) error {
			_, err := client.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: &id, TagKeys: []string{"k"}})
			return err
		}},
		{"DeleteSecret", func(ctx context.Context) error {
			_, err := client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &id, RecoveryWindowInDays: &days})
			return err
		}},
		{"RestoreSecret", func(ctx context.Context) error {
			_, err := client.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &id})
			return err
		}},
	}
}

// checksAtOnce is how many of the calls are under way.
const checksAtOnce = 4

// permissions names each action that is refused.
func (x *examination) permissions(ctx context.Context) {
	const check = "permissions"
	needs := x.d.needs()
	errs := make([]error, len(needs))
	var group errgroup.Group
	group.SetLimit(checksAtOnce)
	for i, n := range needs {
		group.Go(func() error { errs[i] = n.call(ctx); return nil })
	}
	_ = group.Wait()
	begun := len(x.Findings)
	for i, err := range errs {
		switch {
		case awsapi.HasCode(err, awsapi.CodeDenied) && needs[i].action == "BatchGetSecretValue":
			x.Add(check, nebula.SeverityWarning, "secretsmanager:BatchGetSecretValue on * is not allowed: of many credentials, each is read by a call of its own",
				"add to the policy: "+awsapi.Statement("*", "secretsmanager:BatchGetSecretValue"))
		case awsapi.HasCode(err, awsapi.CodeDenied):
			resource := x.d.secretARN(nebula.Name{}) + "*"
			if needs[i].action == "ListSecrets" {
				resource = "*"
			}
			action := "secretsmanager:" + needs[i].action
			x.Findings = append(x.Findings, nebula.Finding{Check: check, Kind: nebula.ErrPermissionDenied, Severity: nebula.SeverityError,
				Message: action + " on " + resource + " is not allowed", Fix: "add to the policy: " + awsapi.Statement(resource, action)})
		case err != nil && !isMissing(err):
			x.Add(check, nebula.SeverityWarning, "whether secretsmanager:"+needs[i].action+" is allowed could not be tried: "+x.d.Explain(nebula.Name{}, err).Message, "")
		}
	}
	if len(x.Findings) == begun {
		x.Add(check, nebula.SeverityOK, fmt.Sprintf("%d actions are allowed; CreateSecret and the KMS key cannot be tried without a change", len(needs)), "")
	}
}
