package config

import (
	"regexp"
	"strings"
)

// hidden replaces, in messages, a text that may be a secret.
const hidden = "…"

// LooksLikeKey reports whether a text that should be a path is probably a key or
// a token in the wrong place. Such a text is neither shown nor used as a path. To
// use a path that looks like a key, write it as ./NAME.
func LooksLikeKey(text string) bool {
	text = strings.TrimSpace(text)
	switch {
	case strings.Contains(strings.ToLower(text), "nebula-key-"), strings.Contains(text, "AGE-SECRET-KEY-"),
		strings.Contains(text, "-----BEGIN"):
		return true
	case regexp.MustCompile(`^(hvs|hvb|hvr|s)\.[A-Za-z0-9_-]{20,}$`).MatchString(text): // tokens of Vault
		return true
	}
	return regexp.MustCompile(`^([0-9a-fA-F]{32,}(:[0-9a-fA-F]+)?)$`).MatchString(text) || looksLikeBase64(text)
}

// looksLikeBase64 checks more than the alphabet: long names consist of it too.
func looksLikeBase64(text string) bool {
	if !regexp.MustCompile(`^[A-Za-z0-9+/_-]{32,}={0,2}$`).MatchString(text) {
		return false
	}
	if strings.HasSuffix(text, "=") || strings.Contains(text, "+") {
		return true
	}
	return !strings.Contains(text, "/") && strings.ContainsAny(text, "0123456789") &&
		strings.ToLower(text) != text && strings.ToUpper(text) != text
}

// shownPath returns the text that names a file, for a message: quoted if it can
// only be a path, hidden if it may be a secret that was set instead of a path.
func shownPath(path string) string {
	plain := strings.HasPrefix(path, "~/") || strings.ContainsAny(path, `/\`)
	if !plain || LooksLikeKey(path) {
		return hidden
	}
	return path
}
