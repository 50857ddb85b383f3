package awsserver

import (
	"slices"
	"time"
)

// The quotas of a secret. AWS documents them in "AWS Secrets Manager quotas": "Versions
// of a secret", about 100, and "Staging labels attached across all versions of a
// secret", 20. The API reference, PutSecretValue, adds that the latest 100 versions are
// kept, and all of the last 24 hours. Neither quota is adjustable.
//
// AWS documents neither the code of the refusal (both operations list
// LimitExceededException for quotas), nor whether AWSPREVIOUS, which moves by itself,
// can be one label too many (here it counts, and is never refused).
const (
	maxStages   = 20
	maxVersions = 100
	youngest    = 24 * time.Hour // no younger version is removed for a new one
)

// makeRoom removes deprecated versions beyond the quota, the oldest first. AWS
// documents in "AWS Secrets Manager quotas" that only versions without labels are
// removed.
func (one *secret) makeRoom(now time.Time) *Error {
	for len(one.versions) >= maxVersions {
		i := slices.IndexFunc(one.versions, func(v *version) bool {
			return len(v.stages) == 0 && now.Sub(time.Time(v.created)) >= youngest
		})
		if i < 0 {
			return fail("LimitExceededException", "You've exceeded the maximum number of versions of this secret. Versions newer than 24 hours aren't removed.")
		}
		one.versions = slices.Delete(one.versions, i, i+1)
	}
	return nil
}

// labels returns all staging labels of the secret. AWS documents in the API reference,
// UpdateSecretVersionStage, that each is attached to one version only.
func (one *secret) labels() []string {
	var all []string
	for _, v := range one.versions {
		all = append(all, v.stages...)
	}
	slices.Sort(all)
	return all
}

// mayAttach refuses labels if they are new to the secret and too many. A label that
// moves from another version is not new.
func (one *secret) mayAttach(stages ...string) *Error {
	before := one.labels()
	after := append(slices.Clone(before), stages...)
	slices.Sort(after)
	after = slices.Compact(after)
	if len(after) > maxStages && len(after) > len(before) {
		return fail("LimitExceededException", "You've exceeded the maximum number of staging labels attached across all versions of this secret.")
	}
	return nil
}
