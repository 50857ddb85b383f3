package takeover

import (
	"context"
	"path/filepath"
)

// AnsibleVault reads a file that ansible-vault encrypted. If it holds variables, a
// mapping in YAML, it returns these, as [JSON] does. Any other file is one secret,
// and with whole every file is.
func AnsibleVault(ctx context.Context, file string, fields, whole bool, p Programs) (Found, error) {
	var found Found
	if _, err := readSource(file); err != nil {
		return found, err
	}
	text, err := p.run(ctx, "ansible-vault", []string{"decrypt", "--output", "-", argument(file)})
	if err != nil {
		return found, err
	}
	variables, isMapping := parseYAML(text)
	if whole || !isMapping {
		found.Secrets = []Secret{{Name: filepath.Base(file), Value: text}}
		return found, nil
	}
	defer clear(text)
	found.Secrets, err = variables.members(fields)
	return found, err
}
