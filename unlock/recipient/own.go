package recipient

import (
	"slices"

	"github.com/nebula-credential/nebula"
)

// Own returns the recipients that the identities are for, as far as the files
// tell without a passphrase or a plugin. Errors: ErrUsage if they tell none.
func Own(options Options) ([]string, error) {
	if err := refuseFIPS(); err != nil {
		return nil, err
	}
	k := &key{options: options}
	if err := k.load(); err != nil {
		return nil, err
	}
	var recipients []string
	add := func(recipient string) {
		if recipient != "" && !slices.Contains(recipients, recipient) {
			recipients = append(recipients, recipient)
		}
	}
	for _, id := range append(k.held.native[:len(k.held.native):len(k.held.native)], k.held.ssh...) {
		add(id.recipient)
	}
	for _, l := range k.held.locked {
		add(l.recipient)
	}
	if recipients == nil {
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Message: "the identity files do not say which recipients they are for",
			Hint: "name the recipient: --recipient"}
	}
	return recipients, nil
}
