package recipient

import "slices"

// Own returns the recipients of the identities, as far as the files show them
// without a passphrase or a plugin, and whether these are all.
func Own(options Options) (recipients []string, complete bool, err error) {
	if err := refuseFIPS(); err != nil {
		return nil, false, err
	}
	k := &key{options: options}
	if err := k.load(); err != nil {
		return nil, false, err
	}
	complete = len(k.held.plugin) == 0
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
		complete = complete && l.recipient != ""
	}
	return recipients, complete, nil
}
