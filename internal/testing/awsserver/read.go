package awsserver

import (
	"slices"
	"time"
)

type getInput struct {
	SecretId     string
	VersionId    string
	VersionStage string
}

// secretValue is one version with its value.
type secretValue struct {
	ARN           string
	Name          string
	VersionId     string
	SecretString  *string  `json:",omitempty"`
	SecretBinary  []byte   `json:",omitempty"`
	VersionStages []string `json:",omitempty"`
	CreatedDate   date
}

func (c *call) get(in *getInput) (any, *Error) {
	one, err := c.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	v, err := one.choose(in.VersionId, in.VersionStage)
	if err != nil {
		return nil, err
	}
	return c.read(one, v), nil
}

// read marks the version as read.
func (c *call) read(one *secret, v *version) *secretValue {
	one.accessed, v.accessed = day(c.now), day(c.now)
	return &secretValue{
		ARN: one.arn, Name: one.name, VersionId: v.id, SecretString: v.value.text, SecretBinary: v.value.binary,
		VersionStages: slices.Clone(v.stages), CreatedDate: v.created,
	}
}

// choose returns the version with an id, a stage, or both, or the current one.
func (one *secret) choose(id, stage string) (*version, *Error) {
	if id != "" {
		v := one.version(id)
		if v == nil {
			return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+id)
		}
		if stage != "" && !slices.Contains(v.stages, stage) {
			return nil, fail("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
		}
		return v, nil
	}
	if stage == "" {
		stage = current
	}
	if v := one.holder(stage); v != nil {
		return v, nil
	}
	return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: "+stage)
}

type batchInput struct {
	SecretIdList []string
	Filters      []filter
	MaxResults   *int
	NextToken    string
}

type batchOutput struct {
	SecretValues []*secretValue
	Errors       []batchError
	NextToken    string `json:",omitempty"`
}

type batchError struct {
	SecretId  string
	ErrorCode string
	Message   string
}

func (c *call) batchGet(in *batchInput) (any, *Error) {
	if (len(in.SecretIdList) == 0) == (len(in.Filters) == 0) {
		return nil, invalid("Either 'SecretIdList' or 'Filters' must be provided, but not both.")
	}
	if len(in.SecretIdList) > batchSize {
		return nil, validation("1 validation error detected: Value at 'secretIdList' failed to satisfy constraint: Member must have length less than or equal to 20")
	}
	ids, next := in.SecretIdList, ""
	if len(ids) == 0 {
		if err := c.server.innerFault("ListSecrets", ""); err != nil {
			return nil, err
		}
		found, token, err := c.page(&listInput{Filters: in.Filters, MaxResults: in.MaxResults, NextToken: in.NextToken}, batchSize)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			ids = append(ids, one.arn)
		}
		next = token
	} else if in.MaxResults != nil || in.NextToken != "" {
		return nil, invalid("MaxResults and NextToken can be used only with Filters.")
	}
	out := &batchOutput{SecretValues: []*secretValue{}, Errors: []batchError{}, NextToken: next}
	for _, id := range ids {
		value, err := c.batchItem(id)
		if err != nil {
			out.Errors = append(out.Errors, batchError{SecretId: id, ErrorCode: err.Code, Message: err.Message})
		} else {
			out.SecretValues = append(out.SecretValues, value)
		}
	}
	return out, nil
}

func (c *call) batchItem(id string) (*secretValue, *Error) {
	if err := c.server.innerFault("GetSecretValue", id); err != nil {
		return nil, err
	}
	one, err := c.live(id)
	if err != nil {
		return nil, err
	}
	v, err := one.choose("", "")
	if err != nil {
		return nil, err
	}
	return c.read(one, v), nil
}

// description is what DescribeSecret and ListSecrets return for a secret. They name the
// stages differently.
type description struct {
	ARN                    string
	Name                   string
	Description            string              `json:",omitempty"`
	KmsKeyId               string              `json:",omitempty"`
	RotationEnabled        *bool               `json:",omitempty"`
	RotationLambdaARN      string              `json:",omitempty"`
	RotationRules          *rotationRules      `json:",omitempty"`
	LastRotatedDate        date                `json:",omitzero"`
	LastChangedDate        date                `json:",omitzero"`
	LastAccessedDate       date                `json:",omitzero"`
	DeletedDate            date                `json:",omitzero"`
	NextRotationDate       date                `json:",omitzero"`
	Tags                   []tag               `json:",omitzero"`
	VersionIdsToStages     map[string][]string `json:",omitempty"`
	SecretVersionsToStages map[string][]string `json:",omitempty"`
	CreatedDate            date
	PrimaryRegion          string    `json:",omitempty"`
	ReplicationStatus      []replica `json:",omitempty"`
}

func (s *Server) describe(one *secret) *description {
	d := &description{
		ARN: one.arn, Name: one.name, Description: one.description, KmsKeyId: one.kmsKey,
		CreatedDate: one.created, LastChangedDate: one.changed, LastAccessedDate: one.accessed, DeletedDate: one.deletion,
		Tags: slices.Clone(one.tags),
	}
	if r := one.rotation; r != nil {
		d.RotationEnabled, d.RotationLambdaARN, d.RotationRules = &r.enabled, r.function, &r.rules
		d.LastRotatedDate, d.NextRotationDate = r.last, r.next
	}
	if len(one.replicas) > 0 {
		d.PrimaryRegion, d.ReplicationStatus = s.options.Region, slices.Clone(one.replicas)
	}
	return d
}

// stages returns the versions that have stages, with them.
func (one *secret) stages() map[string][]string {
	stages := map[string][]string{}
	for _, v := range one.versions {
		if len(v.stages) > 0 {
			stages[v.id] = slices.Clone(v.stages)
		}
	}
	return stages
}

type secretInput struct{ SecretId string }

func (c *call) describe(in *secretInput) (any, *Error) {
	one, err := c.existing(in.SecretId)
	if err != nil {
		return nil, err
	}
	d := c.server.describe(one)
	d.VersionIdsToStages = one.stages()
	return d, nil
}

type versionsInput struct {
	SecretId          string
	IncludeDeprecated bool
	MaxResults        *int
	NextToken         string
}

type versionsOutput struct {
	ARN       string
	Name      string
	Versions  []versionEntry
	NextToken string `json:",omitempty"`
}

type versionEntry struct {
	VersionId        string
	CreatedDate      date
	LastAccessedDate date     `json:",omitzero"`
	KmsKeyIds        []string `json:",omitempty"`
	VersionStages    []string `json:",omitempty"`
}

// listVersions answers for a secret that is to be deleted, too.
func (c *call) listVersions(in *versionsInput) (any, *Error) {
	one, err := c.existing(in.SecretId)
	if err != nil {
		return nil, err
	}
	shown := slices.DeleteFunc(slices.Clone(one.versions), func(v *version) bool {
		return len(v.stages) == 0 && !in.IncludeDeprecated
	})
	size, err := c.server.size(in.MaxResults, listPage)
	if err != nil {
		return nil, err
	}
	query := queryHash(c.operation, one.arn, in.IncludeDeprecated)
	shown, next, err := cut(shown, size, query, in.NextToken, func(v *version) string {
		return sortable(time.Time(v.created)) + v.id
	}, false)
	if err != nil {
		return nil, err
	}
	out := &versionsOutput{ARN: one.arn, Name: one.name, Versions: []versionEntry{}, NextToken: next}
	for _, v := range shown {
		key := v.kmsKey
		if key == "" {
			key = "DefaultEncryptionKey"
		}
		out.Versions = append(out.Versions, versionEntry{
			VersionId: v.id, CreatedDate: v.created, LastAccessedDate: v.accessed,
			KmsKeyIds: []string{key}, VersionStages: slices.Clone(v.stages),
		})
	}
	return out, nil
}
