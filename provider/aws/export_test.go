package aws

import "github.com/nebula-credential/nebula"

// AcceptsTag reports whether AWS accepts that tag.
func AcceptsTag(key, value string) bool {
	_, err := new(Config).project(nebula.Name{}, nebula.Metadata{Tags: map[string]string{key: value}})
	return err == nil
}
