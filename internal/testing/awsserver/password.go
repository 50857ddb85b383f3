package awsserver

import "strings"

type passwordInput struct {
	PasswordLength          *int
	ExcludeCharacters       string
	ExcludeNumbers          bool
	ExcludePunctuation      bool
	ExcludeUppercase        bool
	ExcludeLowercase        bool
	IncludeSpace            bool
	RequireEachIncludedType *bool
}

type passwordOutput struct{ RandomPassword string }

func (c *call) randomPassword(in *passwordInput) (any, *Error) {
	length := 32
	if in.PasswordLength != nil {
		length = *in.PasswordLength
	}
	if length < 1 || length > 4096 {
		return nil, validation("1 validation error detected: Value at 'passwordLength' failed to satisfy constraint: Member must have value between 1 and 4096")
	}
	types := in.types()
	each := in.RequireEachIncludedType == nil || *in.RequireEachIncludedType
	if len(types) == 0 || each && length < len(types) {
		return nil, invalid("No password of this length can be made of these characters.")
	}
	for {
		password := random(length, strings.Join(types, ""))
		if !each || hasEach(password, types) {
			return &passwordOutput{RandomPassword: password}, nil
		}
	}
}

// types returns the kinds of characters that the password may have.
func (in *passwordInput) types() []string {
	var types []string
	for _, t := range []struct {
		excluded   bool
		characters string
	}{
		{in.ExcludeUppercase, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{in.ExcludeLowercase, "abcdefghijklmnopqrstuvwxyz"},
		{in.ExcludeNumbers, "0123456789"},
		{in.ExcludePunctuation, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"},
		{!in.IncludeSpace, " "},
	} {
		left := strings.Map(func(r rune) rune {
			if t.excluded || strings.ContainsRune(in.ExcludeCharacters, r) {
				return -1
			}
			return r
		}, t.characters)
		if left != "" {
			types = append(types, left)
		}
	}
	return types
}

func hasEach(password string, types []string) bool {
	for _, t := range types {
		if !strings.ContainsAny(password, t) {
			return false
		}
	}
	return true
}
