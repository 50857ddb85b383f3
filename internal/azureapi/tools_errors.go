package azureapi

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
)

// toolsError is the failure of az and azd.
type toolsError struct{ az, azd error }

func (e *toolsError) Error() string { return "neither az nor azd gave a token" }

// explainTools is for developer tools. It shows their output, without parts that
// may be secret.
func (a *authenticator) explainTools(err error) *nebula.Error {
	e := &nebula.Error{Kind: nebula.ErrUnauthenticated, Message: "neither az nor azd gave a token", Hint: a.identityHint()}
	var tools *toolsError
	if !errors.As(err, &tools) {
		return e
	}
	e.Message += ": az said " + quoted(tools.az) + ", azd said " + quoted(tools.azd)
	return e
}

// quoted returns the output of a tool from the SDK's error: one line,
// shortened, without anything that may be a token or the like.
func quoted(err error) string {
	text := err.Error()
	for _, prefix := range []string{"AzureCLICredential: ", "AzureDeveloperCLICredential: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	text, _, _ = strings.Cut(text, " To troubleshoot, visit ")
	text = strings.TrimSuffix(text, ".") // the SDK's, or the sentence's
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) })
	for i, word := range words {
		if mayBeSecret(word) {
			words[i] = "…"
		}
	}
	const maxShown = 300 // bytes
	text = strings.Join(words, " ")
	if len(text) > maxShown {
		end := maxShown
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return strconv.Quote(text)
}

// mayBeSecret reports whether a word has a part that is as long as tokens, keys
// and secrets of applications. Ids and the parts of addresses do not count.
func mayBeSecret(word string) bool {
	const minSecret = 32
	delimiters := `"'(),;:`
	if strings.Contains(word, "https://") {
		delimiters += "/?&="
	}
	parts := strings.FieldsFunc(word, func(r rune) bool { return strings.ContainsRune(delimiters, r) })
	return slices.ContainsFunc(parts, func(part string) bool {
		return strings.HasPrefix(part, "eyJ") || len(part) >= minSecret && !isGUID(strings.Trim(part, "."))
	})
}
