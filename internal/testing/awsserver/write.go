package awsserver

import (
	"slices"
	"time"
)

// valueInput is part of the input of all operations that make a version.
type valueInput struct {
	ClientRequestToken string
	SecretString       *string
	SecretBinary       []byte
}

// checkToken is the first step of every operation that could make a version.
func (in *valueInput) checkToken() *Error {
	switch n := len(in.ClientRequestToken); {
	case n == 0:
		return fail("InvalidRequestException", "You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	case n < minToken || n > maxToken:
		return invalid("ClientRequestToken must be 32-64 characters long.")
	}
	return nil
}

// value returns nil if the request has no value.
func (in *valueInput) value() (*value, *Error) {
	if in.SecretString != nil && in.SecretBinary != nil {
		return nil, invalid("You can't specify both a binary secret value and a string secret value in the same secret.")
	}
	size := len(in.SecretBinary)
	if in.SecretString != nil {
		size = len(*in.SecretString)
	} else if in.SecretBinary == nil {
		return nil, nil
	}
	if size < 1 || size > maxValue {
		return nil, validation("1 validation error detected: the secret value failed to satisfy constraint: Member must have length between 1 and 65536")
	}
	return &value{text: in.SecretString, binary: in.SecretBinary}, nil
}

// written is the answer of operations that write.
type written struct {
	ARN               string
	Name              string
	VersionId         string    `json:",omitempty"`
	VersionStages     []string  `json:",omitempty"`
	ReplicationStatus []replica `json:",omitempty"`
}

type replicaInput struct {
	Region   string
	KmsKeyId string
}

type createInput struct {
	valueInput
	Name                        string
	Description                 string
	KmsKeyId                    string
	Tags                        []tag
	AddReplicaRegions           []replicaInput
	ForceOverwriteReplicaSecret bool
}

func (c *call) create(in *createInput) (any, *Error) {
	if err := checkName(in.Name, maxName); err != nil {
		return nil, err
	}
	if err := in.checkToken(); err != nil {
		return nil, err
	}
	value, err := in.value()
	if err != nil {
		return nil, err
	}
	if err := checkDescription(in.Description); err != nil {
		return nil, err
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		if err := c.server.innerFault("TagResource", in.Name); err != nil {
			return nil, err
		}
	}
	if found := c.server.secrets[in.Name]; found != nil {
		return found.createAgain(in.ClientRequestToken, value)
	}
	c.server.sequence++
	one := &secret{
		name: in.Name, arn: c.server.newARN(in.Name), sequence: c.server.sequence,
		description: in.Description, kmsKey: in.KmsKeyId, created: date(c.now), changed: date(c.now), tags: tags,
	}
	c.server.secrets[in.Name] = one
	one.addReplicas(in.AddReplicaRegions)
	out := &written{ARN: one.arn, Name: one.name, ReplicationStatus: starting(one.replicas)}
	if value != nil {
		// The service writes the version a moment after the secret.
		one.addVersion(in.ClientRequestToken, value, c.now.Add(5*time.Millisecond), []string{current})
		out.VersionId = in.ClientRequestToken
	}
	return out, nil
}

// createAgain answers a repeated creation of the same version like the first one.
func (one *secret) createAgain(token string, value *value) (any, *Error) {
	if !one.deletion.IsZero() {
		return nil, fail("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if v := one.version(token); v != nil && value != nil && v.value.equal(value) {
		return &written{ARN: one.arn, Name: one.name, VersionId: v.id}, nil
	}
	return nil, fail("ResourceExistsException", "The operation failed because the secret "+one.name+" already exists.")
}

func (one *secret) addVersion(id string, value *value, now time.Time, stages []string) *version {
	v := &version{id: id, value: value, created: date(now), kmsKey: one.kmsKey}
	one.versions = append(one.versions, v)
	for _, stage := range stages {
		one.attach(v, stage)
	}
	one.changed = date(now)
	return v
}

type putInput struct {
	valueInput
	SecretId      string
	VersionStages []string
}

func (c *call) put(in *putInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := in.checkToken(); err != nil {
		return nil, err
	}
	value, err := in.value()
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, fail("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	}
	stages := in.VersionStages
	if len(stages) == 0 || len(one.versions) == 0 {
		stages = append(slices.Clone(stages), current)
	}
	if len(stages) > maxStages || slices.Contains(stages, "") {
		return nil, validation("1 validation error detected: Value at 'versionStages' failed to satisfy constraint: 1 to 20 members of 1 to 256 characters")
	}
	v := one.version(in.ClientRequestToken)
	if v != nil && !v.value.equal(value) {
		return nil, tokenUsed()
	}
	if v == nil {
		if err := one.mayAttach(stages...); err != nil {
			return nil, err
		}
		if err := one.makeRoom(c.now); err != nil {
			return nil, err
		}
		v = one.addVersion(in.ClientRequestToken, value, c.now, stages)
	}
	return &written{ARN: one.arn, Name: one.name, VersionId: v.id, VersionStages: slices.Clone(v.stages)}, nil
}

func tokenUsed() *Error {
	return fail("ResourceExistsException", "The operation failed because a version with this ClientRequestToken already exists.")
}

type updateInput struct {
	valueInput
	SecretId    string
	Description *string
	KmsKeyId    string
}

// update refuses a token of an existing version, even with the same value: it never
// makes a version again.
func (c *call) update(in *updateInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := in.checkToken(); err != nil {
		return nil, err
	}
	value, err := in.value()
	if err != nil {
		return nil, err
	}
	if in.Description != nil {
		if err := checkDescription(*in.Description); err != nil {
			return nil, err
		}
	}
	if value != nil {
		if one.version(in.ClientRequestToken) != nil {
			return nil, tokenUsed()
		}
		if err := one.makeRoom(c.now); err != nil {
			return nil, err
		}
	}
	if in.Description != nil {
		one.description = *in.Description
	}
	if in.KmsKeyId != "" {
		one.kmsKey = in.KmsKeyId
	}
	one.changed = date(c.now)
	out := &written{ARN: one.arn, Name: one.name}
	if value != nil {
		one.addVersion(in.ClientRequestToken, value, c.now, []string{current})
		out.VersionId = in.ClientRequestToken
	}
	return out, nil
}

func checkDescription(text string) *Error {
	if len(text) > maxDescription {
		return validation("1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 2048")
	}
	return nil
}

type moveInput struct {
	SecretId            string
	VersionStage        string
	RemoveFromVersionId string
	MoveToVersionId     string
}

func (c *call) moveStage(in *moveInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	if in.VersionStage == "" {
		return nil, validation("1 validation error detected: Value at 'versionStage' failed to satisfy constraint: Member must not be null")
	}
	for _, id := range []string{in.RemoveFromVersionId, in.MoveToVersionId} {
		if id != "" && one.version(id) == nil {
			return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret version.")
		}
	}
	if err := one.mayMove(in); err != nil {
		return nil, err
	}
	if to := one.version(in.MoveToVersionId); to != nil {
		if len(to.stages) == 0 && c.server.deprecatedStay {
			return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret version.")
		}
		if err := one.mayAttach(in.VersionStage); err != nil {
			return nil, err
		}
		one.attach(to, in.VersionStage)
	} else {
		one.version(in.RemoveFromVersionId).remove(in.VersionStage)
	}
	one.changed = date(c.now)
	return &written{ARN: one.arn, Name: one.name}, nil
}

// mayMove: a stage is removed only from the version that the client named. AWS
// documents in the API reference, UpdateSecretVersionStage, that a move fails if
// RemoveFromVersionId is missing or is not the version that has the label. It lists
// several codes, and nobody recorded which one it uses.
func (one *secret) mayMove(in *moveInput) *Error {
	holder := one.holder(in.VersionStage)
	switch {
	case in.RemoveFromVersionId == "" && in.MoveToVersionId == "":
		return invalid("You must provide RemoveFromVersionId or MoveToVersionId.")
	case in.MoveToVersionId == "" && in.VersionStage == current:
		return invalid("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	case in.RemoveFromVersionId == "" && holder != nil && holder.id != in.MoveToVersionId:
		return invalid("The parameter RemoveFromVersionId can't be empty. Staging label " + in.VersionStage +
			" is currently attached to version " + holder.id + ", so you must explicitly reference that version in RemoveFromVersionId.")
	case in.RemoveFromVersionId != "" && (holder == nil || holder.id != in.RemoveFromVersionId):
		return invalid("When you move staging label " + in.VersionStage +
			", if you specify RemoveFromVersionId, it must be set to the version that currently has the staging label " + in.VersionStage + ".")
	}
	return nil
}
