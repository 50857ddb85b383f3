package awsserver

import "time"

const (
	minWindow     = 7
	maxWindow     = 30
	defaultWindow = 30
)

type deleteInput struct {
	SecretId                   string
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
}

type deleteOutput struct {
	ARN          string
	Name         string
	DeletionDate date
}

func (c *call) delete(in *deleteInput) (any, *Error) {
	days := defaultWindow
	if in.RecoveryWindowInDays != nil {
		if in.ForceDeleteWithoutRecovery {
			return nil, invalid("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
		}
		if days = *in.RecoveryWindowInDays; days < minWindow || days > maxWindow {
			return nil, invalid("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
		}
	}
	one, err := c.existing(in.SecretId)
	if err != nil {
		if in.ForceDeleteWithoutRecovery && err.Code == "ResourceNotFoundException" {
			name := nameOf(in.SecretId)
			return &deleteOutput{ARN: c.server.newARN(name), Name: name, DeletionDate: date(c.now)}, nil
		}
		return nil, err
	}
	if len(one.replicas) > 0 {
		return nil, fail("InvalidRequestException", "You can't delete secret "+one.name+" that still has replicas.")
	}
	if !one.deletion.IsZero() && !in.ForceDeleteWithoutRecovery {
		return nil, fail("InvalidRequestException", "You can't perform this operation on the secret because it was already scheduled for deletion.")
	}
	if !one.forced { // a second deletion does not put it off
		one.deleted, one.changed, one.forced = c.now, date(c.now), in.ForceDeleteWithoutRecovery
		one.deletion = date(c.now)
		if !one.forced {
			one.deletion = date(c.now.Add(time.Duration(days) * 24 * time.Hour))
		}
	}
	return &deleteOutput{ARN: one.arn, Name: one.name, DeletionDate: one.deletion}, nil
}

// restore succeeds and changes nothing if the secret is not deleted. That is neither
// recorded nor documented.
func (c *call) restore(in *secretInput) (any, *Error) {
	one, err := c.existing(in.SecretId)
	if err != nil {
		return nil, err
	}
	if one.forced {
		return nil, fail("InvalidRequestException", "You can't perform this operation on the secret because it was deleted.")
	}
	if !one.deletion.IsZero() {
		one.deletion, one.deleted, one.changed = date{}, time.Time{}, date(c.now)
	}
	return &written{ARN: one.arn, Name: one.name}, nil
}
