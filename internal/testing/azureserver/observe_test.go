package azureserver

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// An observation is a remark in words. The test checks observations about headers,
// about sizes, and about words in a message that programs look for. The others say
// where a recording comes from, quote a message that the server words differently, or
// repeat what compare and invariants check anyway.

var (
	// machineWords match the words that clients look for in messages: the codes that
	// this server gives, the action of a role, and the reason of a refusal.
	machineWords = regexp.MustCompile(`\bAKV(?:10000|10022|10032)\b|\bMTLS_POP\b|Microsoft\.KeyVault/[\w/]+|\bVaultRequestTypeLimitReached\b|` +
		`\bDeniedWithNoValidRBAC\b|https://vault\.azure\.net\b`)
	absences = regexp.MustCompile(`\bno ([A-Z][a-z]+(?:-[A-Z][a-z]+)*)\b`)
	granted  = regexp.MustCompile(`permission \((secrets [^)]+)\)`)
	names    = regexp.MustCompile(`names operation (\w+)`)
	length   = regexp.MustCompile(`Content-Length (\d+)`)
)

// observe checks the observations about the message, the headers and the body.
func (r *replay) observe(t *testing.T, e *event, got reply) []error {
	t.Helper()
	var all []error
	message, _ := at(got.body, "error", "message").(string)
	for _, text := range e.Observed {
		if e.Response.Status >= 400 && message != "" {
			all = append(all, r.observeMessage(e, text, message, len(got.text))...)
		}
		for _, found := range absences.FindAllStringSubmatch(text, -1) {
			if got.header.Get(found[1]) != "" {
				all = append(all, fmt.Errorf("header %s; observed: %s", found[1], text))
			}
		}
		if found := length.FindStringSubmatch(text); found != nil {
			// The body contains a name of unknown length.
			n, _ := strconv.Atoi(found[1])
			if size := len(got.text); size*2 < n || size > n*2 {
				all = append(all, fmt.Errorf("the body has %d bytes; observed: %s", size, text))
			}
		}
		if strings.Contains(text, "new deletedDate") && got.body["deletedDate"] == r.deleted[r.value(r.nameIn(e))] {
			all = append(all, fmt.Errorf("deletedDate is that of the earlier deletion"))
		}
	}
	if date := got.body["deletedDate"]; date != nil {
		r.deleted[r.value(r.nameIn(e))] = date
	}
	return all
}

// observeMessage checks what an observation says about the message of an error.
func (r *replay) observeMessage(e *event, text, message string, size int) []error {
	var all []error
	need := func(part string) {
		if !strings.Contains(strings.ToLower(message), strings.ToLower(part)) {
			all = append(all, fmt.Errorf("the message has no %q; observed: %s", part, text))
		}
	}
	for _, word := range machineWords.FindAllString(text, -1) {
		need(word)
	}
	for _, pattern := range []*regexp.Regexp{granted, names} {
		if found := pattern.FindStringSubmatch(text); found != nil {
			need(found[1])
		}
	}
	if strings.Contains(text, "message") && strings.Contains(text, "vault;location") {
		need(";location=")
	}
	return append(all, r.observeRequest(e, text, message, size)...)
}

// observeRequest checks what an observation says about the message in relation to the
// request, and about its size.
func (r *replay) observeRequest(e *event, text, message string, size int) []error {
	var all []error
	if strings.Contains(text, "letter case") && !strings.Contains(message, r.value(r.nameIn(e))) {
		all = append(all, errors.New("the message does not have the name as it was sent"))
	}
	if sent, ok := e.Request.Body.(map[string]any); ok && strings.Contains(text, "does not name the property") {
		for property := range sent {
			if regexp.MustCompile(`\b` + property + `\b`).MatchString(message) {
				all = append(all, fmt.Errorf("the message names %s; observed: %s", property, text))
			}
		}
	}
	if strings.Contains(text, "bytes)") {
		if err := about(text, size); err != nil {
			all = append(all, fmt.Errorf("the body %w", err))
		}
	}
	return all
}
