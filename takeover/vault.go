package takeover

import (
	"context"
	"strings"

	"github.com/nebula-credential/nebula/provider"
)

// Vault is [Backend] for Vault, which keeps numbers in 53 bits. When numbers were
// written that need more bits, it rounded them, and it writes others in another
// form. A secret with numbers has a Note.
func Vault(ctx context.Context, r provider.ForeignReader, place string, o BackendOptions) (Found, error) {
	o.rounds = true
	return Backend(ctx, r, place, o)
}

// noteNumbers notes which of a value's secrets are numbers, or contain some.
func noteNumbers(secrets []Secret, value []byte) {
	const rounds = "Vault keeps numbers in 53 bits, and may have changed "
	for i, s := range secrets {
		if s.number {
			secrets[i].Note = rounds + "this one"
		}
	}
	if len(secrets) != 1 || secrets[0].number {
		return
	}
	parts, _ := members(value, true) // what is wrong with them is no matter here
	var numbers []string
	for _, m := range parts {
		if m.number {
			numbers = append(numbers, m.Name)
		}
	}
	if len(numbers) > 0 {
		secrets[0].Note = rounds + strings.Join(numbers, ", ")
	}
}
