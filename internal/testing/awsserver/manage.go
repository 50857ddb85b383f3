package awsserver

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

type policyInput struct {
	SecretId       string
	ResourcePolicy string
}

type policyOutput struct {
	ARN            string
	Name           string
	ResourcePolicy string `json:",omitempty"`
}

func checkPolicy(text string) *Error {
	var document struct{ Statement any }
	if json.Unmarshal([]byte(text), &document) != nil || document.Statement == nil {
		return fail("MalformedPolicyDocumentException", "This resource policy contains a syntax error.")
	}
	return nil
}

func (c *call) putPolicy(in *policyInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := checkPolicy(in.ResourcePolicy); err != nil {
		return nil, err
	}
	one.policy = in.ResourcePolicy
	return &policyOutput{ARN: one.arn, Name: one.name}, nil
}

func (c *call) getPolicy(in *secretInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	return &policyOutput{ARN: one.arn, Name: one.name, ResourcePolicy: one.policy}, nil
}

func (c *call) deletePolicy(in *secretInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	one.policy = ""
	return &policyOutput{ARN: one.arn, Name: one.name}, nil
}

type validationOutput struct {
	PolicyValidationPassed bool
	ValidationErrors       []string
}

func (c *call) validatePolicy(in *policyInput) (any, *Error) {
	if in.SecretId != "" {
		if _, err := c.live(in.SecretId); err != nil {
			return nil, err
		}
	}
	if err := checkPolicy(in.ResourcePolicy); err != nil {
		return nil, err
	}
	return &validationOutput{PolicyValidationPassed: true, ValidationErrors: []string{}}, nil
}

// rotation says how a secret rotates.
type rotation struct {
	enabled    bool
	function   string
	rules      rotationRules
	last, next date
}

type rotationRules struct {
	AutomaticallyAfterDays int    `json:",omitempty"`
	Duration               string `json:",omitempty"`
	ScheduleExpression     string `json:",omitempty"`
}

type rotateInput struct {
	SecretId           string
	ClientRequestToken string
	RotationLambdaARN  string
	RotationRules      *rotationRules
	RotateImmediately  *bool
}

// rotate finishes before it answers. The service's function takes longer.
func (c *call) rotate(in *rotateInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	if n := len(in.ClientRequestToken); n < minToken || n > maxToken {
		return nil, invalid("ClientRequestToken must be 32-64 characters long.")
	}
	r := rotation{enabled: true, function: in.RotationLambdaARN}
	if one.rotation != nil {
		r.rules, r.last = one.rotation.rules, one.rotation.last
		if r.function == "" {
			r.function = one.rotation.function
		}
	}
	if in.RotationRules != nil {
		r.rules = *in.RotationRules
	}
	switch {
	case r.function == "":
		return nil, fail("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
	case !c.server.functions[r.function]:
		return nil, fail("AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.")
	case one.version(in.ClientRequestToken) != nil:
		return nil, tokenUsed()
	}
	out := &written{ARN: one.arn, Name: one.name}
	if in.RotateImmediately == nil || *in.RotateImmediately {
		if err := one.makeRoom(c.now); err != nil {
			return nil, err
		}
		text := random(32, alphanumeric)
		one.addVersion(in.ClientRequestToken, &value{text: &text}, c.now, []string{pending, current})
		r.last, out.VersionId = date(c.now), in.ClientRequestToken
	}
	if days := r.rules.AutomaticallyAfterDays; days > 0 {
		r.next = date(c.now.Truncate(time.Second).Add(time.Duration(days) * 24 * time.Hour))
	}
	one.rotation, one.changed = &r, date(c.now)
	return out, nil
}

func (c *call) cancelRotation(in *secretInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	if one.rotation == nil {
		return nil, fail("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
	}
	stopped := *one.rotation
	stopped.enabled, stopped.next = false, date{}
	one.rotation, one.changed = &stopped, date(c.now)
	return &written{ARN: one.arn, Name: one.name}, nil
}

// replica is a copy in another region. This server only reports it.
type replica struct {
	Region        string
	KmsKeyId      string
	Status        string
	StatusMessage string `json:",omitempty"`
}

type replicateInput struct {
	SecretId                    string
	AddReplicaRegions           []replicaInput
	ForceOverwriteReplicaSecret bool
}

type removeInput struct {
	SecretId             string
	RemoveReplicaRegions []string
}

type replicationOutput struct {
	ARN               string
	ReplicationStatus []replica
}

func (one *secret) addReplicas(added []replicaInput) {
	for _, in := range added {
		if in.KmsKeyId == "" {
			in.KmsKeyId = "alias/aws/secretsmanager"
		}
		one.replicas = append(one.replicas, replica{Region: in.Region, KmsKeyId: in.KmsKeyId, Status: "InSync", StatusMessage: "Replication succeeded"})
	}
}

// starting returns the answer while a replica is made, which takes the service a moment
// and this server none.
func starting(replicas []replica) []replica {
	out := slices.Clone(replicas)
	for i := range out {
		out[i].Status, out[i].StatusMessage = "InProgress", ""
	}
	return out
}

func (c *call) replicate(in *replicateInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	for _, r := range in.AddReplicaRegions {
		if r.Region == c.server.options.Region || slices.ContainsFunc(one.replicas, func(old replica) bool { return old.Region == r.Region }) {
			return nil, invalid("Invalid replica region: " + r.Region)
		}
	}
	before := len(one.replicas)
	one.addReplicas(in.AddReplicaRegions)
	one.changed = date(c.now)
	status := append(slices.Clone(one.replicas[:before]), starting(one.replicas[before:])...)
	return &replicationOutput{ARN: one.arn, ReplicationStatus: status}, nil
}

func (c *call) removeRegions(in *removeInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(slices.Clone(one.replicas), func(r replica) bool { return slices.Contains(in.RemoveReplicaRegions, r.Region) })
	if len(kept)+len(in.RemoveReplicaRegions) != len(one.replicas) {
		return nil, invalid("The secret has no replica in one of these regions: " + strings.Join(in.RemoveReplicaRegions, ", "))
	}
	one.replicas, one.changed = kept, date(c.now)
	return &replicationOutput{ARN: one.arn, ReplicationStatus: append([]replica{}, kept...)}, nil
}
