package awsserver

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limits of the service.
const (
	maxName        = 512
	maxID          = 2048
	maxValue       = 65536
	maxDescription = 2048
	maxTags        = 50
	maxTagKey      = 128
	maxTagValue    = 256
	minToken       = 32
	maxToken       = 64
	batchSize      = 20
	listPage       = 100
)

const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	pending  = "AWSPENDING"
)

// secret is a secret that exists, perhaps scheduled for deletion.
type secret struct {
	name, arn   string
	sequence    int // in the order of creation
	description string
	kmsKey      string // empty: the account's default
	created     date
	changed     date
	accessed    date
	deletion    date      // when it will be deleted; zero if that is not planned
	deleted     time.Time // when the deletion was asked for
	forced      bool
	tags        []tag      // nil: never tagged
	versions    []*version // in the order of creation, deprecated ones included
	policy      string
	rotation    *rotation
	replicas    []replica
}

// version is deprecated if it has no stages.
type version struct {
	id       string
	value    *value
	stages   []string // sorted
	created  date
	accessed date
	kmsKey   string
}

// value is either text or bytes.
type value struct {
	text   *string
	binary []byte
}

func (v *value) equal(other *value) bool {
	if (v.text == nil) != (other.text == nil) {
		return false
	}
	if v.text != nil {
		return *v.text == *other.text
	}
	return bytes.Equal(v.binary, other.binary)
}

type tag struct {
	Key   string
	Value string
}

// date is seconds since 1970 with milliseconds. The service writes it as a float with
// an exponent.
type date time.Time

func (d date) MarshalJSON() ([]byte, error) {
	seconds := float64(time.Time(d).UnixMilli()) / 1000
	text := strconv.FormatFloat(seconds, 'E', -1, 64)
	return []byte(strings.Replace(text, "E+0", "E", 1)), nil
}

func (d date) IsZero() bool { return time.Time(d).IsZero() }

func day(t time.Time) date { return date(t.Truncate(24 * time.Hour)) }

var (
	validName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]+$`)
	arnForm   = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):(\d{12}):secret:(.+)$`)
	suffix    = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
)

func checkName(name string, longest int) *Error {
	if name == "" || len(name) > longest || !validName.MatchString(name) {
		return validation("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	return nil
}

// nameOf returns the name that a client means by a name or an ARN. It takes an end that
// looks like the suffix of an ARN for that suffix.
func nameOf(id string) string {
	parts := arnForm.FindStringSubmatch(id)
	if parts == nil {
		return id
	}
	return suffix.ReplaceAllString(parts[3], "")
}

// find returns the secret with a name, an ARN, or an ARN without its suffix, or nil. If
// a name ends like such a suffix, an ARN without its suffix does not find it.
func (s *Server) find(id string) *secret {
	parts := arnForm.FindStringSubmatch(id)
	if parts == nil {
		return s.secrets[id]
	}
	if parts[1] != s.options.Region || parts[2] != s.options.Account {
		return nil
	}
	found := s.secrets[nameOf(id)]
	if suffix.MatchString(parts[3]) && found != nil && found.arn != id {
		return nil
	}
	return found
}

// existing returns the secret with an id, also if it is to be deleted.
func (c *call) existing(id string) (*secret, *Error) {
	name := id
	if parts := arnForm.FindStringSubmatch(id); parts != nil {
		name = parts[3]
	}
	if err := checkName(name, maxID); err != nil {
		return nil, err
	}
	if found := c.server.find(id); found != nil {
		return found, nil
	}
	return nil, notFound()
}

// live returns the secret with an id, unless it is to be deleted.
func (c *call) live(id string) (*secret, *Error) {
	found, err := c.existing(id)
	if err == nil && !found.deletion.IsZero() {
		return nil, fail("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	}
	return found, err
}

func (s *Server) newARN(name string) string {
	return "arn:aws:secretsmanager:" + s.options.Region + ":" + s.options.Account + ":secret:" + name + "-" + random(6, alphanumeric)
}

// expire removes the secrets whose time of deletion has come.
func (s *Server) expire() {
	now := s.now()
	for name, one := range s.secrets {
		if !one.deletion.IsZero() && !now.Before(one.end(s.options.ForcedDeletion)) {
			delete(s.secrets, name)
			s.gone = append(s.gone, one)
		}
	}
	s.gone = slices.DeleteFunc(s.gone, func(one *secret) bool { return !now.Before(one.deleted.Add(s.listDelay)) })
}

func (one *secret) end(forced time.Duration) time.Time {
	if one.forced {
		return one.deleted.Add(forced)
	}
	return time.Time(one.deletion)
}

func (s *Server) inOrder() []*secret {
	all := make([]*secret, 0, len(s.secrets))
	for _, one := range s.secrets {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *secret) int { return a.sequence - b.sequence })
	return all
}

func (one *secret) version(id string) *version {
	for _, v := range one.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

// holder returns the version that has the stage, or nil.
func (one *secret) holder(stage string) *version {
	for _, v := range one.versions {
		if slices.Contains(v.stages, stage) {
			return v
		}
	}
	return nil
}

func (v *version) add(stage string) {
	if !slices.Contains(v.stages, stage) {
		v.stages = append(v.stages, stage)
		slices.Sort(v.stages)
	}
}

func (v *version) remove(stage string) {
	v.stages = slices.DeleteFunc(slices.Clone(v.stages), func(s string) bool { return s == stage })
}

// attach moves a stage to the version. If it is AWSCURRENT, the version that
// had it becomes the previous one and is no longer pending.
func (one *secret) attach(v *version, stage string) {
	old := one.holder(stage)
	if old == v {
		return
	}
	if old != nil {
		old.remove(stage)
	}
	if old != nil && stage == current {
		if before := one.holder(previous); before != nil {
			before.remove(previous)
		}
		old.remove(pending)
		old.add(previous)
	}
	v.add(stage)
}
