package azureserver

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// An observation is a remark in words. Those that name what can be looked for
// in an answer are checked; the others tell where a recording comes from, or
// what compare and invariants check anyway.

var (
	// Words of a message that are meant for machines: AKV10000, MTLS_POP,
	// Microsoft.KeyVault/vaults/…, VaultRequestTypeLimitReached, 'Quoted'.
	codeLike = regexp.MustCompile(`\bAKV\d+|\b[A-Z]+_[A-Z]+\b|Microsoft\.KeyVault/[\w/]+|\b(?:[A-Z][a-z]+){4,}\b|'[A-Z]\w+'|https://[\w.]+|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)
	absences = regexp.MustCompile(`\bno ([A-Z][a-z]+(?:-[A-Z][a-z]+)*)\b`)
	says     = regexp.MustCompile(`message (starts with|says) (.+?)(?: and |;|$)`)
	granted  = regexp.MustCompile(`permission \(([^)]+)\)`)
	names    = regexp.MustCompile(`names operation (\w+)`)
	length   = regexp.MustCompile(`Content-Length (\d+)`)
)

// observe checks the observations about the message, the headers and the body.
func (r *replay) observe(e *event, got reply) []error {
	var all []error
	message, _ := at(got.body, "error", "message").(string)
	for _, text := range e.Observed {
		if strings.Contains(text, "message") || strings.HasPrefix(text, "Action") || strings.Contains(text, "quoted") {
			all = append(all, r.observeMessage(e, text, message, len(got.text))...)
		}
		for _, found := range absences.FindAllStringSubmatch(text, -1) {
			if got.header.Get(found[1]) != "" {
				all = append(all, fmt.Errorf("header %s; observed: %s", found[1], text))
			}
		}
		if found := length.FindStringSubmatch(text); found != nil {
			// It holds a name of unknown length.
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

// observeMessage checks what an observation says of the message of an error.
func (r *replay) observeMessage(e *event, text, message string, size int) []error {
	var all []error
	lower := strings.ToLower(message)
	need := func(part string) {
		if !strings.Contains(lower, strings.ToLower(part)) {
			all = append(all, fmt.Errorf("the message has no %q; observed: %s", part, text))
		}
	}
	if e.Response.Status < 400 || message == "" {
		return nil
	}
	for _, word := range codeLike.FindAllString(text, -1) {
		need(word)
	}
	if found := says.FindStringSubmatch(text); found != nil {
		need(found[2])
		if found[1] == "starts with" && !strings.HasPrefix(lower, strings.ToLower(found[2])) {
			all = append(all, fmt.Errorf("the message begins otherwise; observed: %s", text))
		}
	}
	if found := granted.FindStringSubmatch(text); found != nil {
		need(found[1])
	}
	if found := names.FindStringSubmatch(text); found != nil {
		need(found[1])
	}
	for hint, part := range map[string]string{"vault;location": ";location=", "aller": "appid=", "client address": "client address"} {
		if strings.Contains(text, hint) && !strings.Contains(text, "caller's") {
			need(part)
		}
	}
	if list, ok := strings.CutPrefix(text, "message lines: "); ok {
		for entry := range strings.SplitSeq(list, ", ") {
			need(strings.FieldsFunc(entry, func(c rune) bool { return c == ' ' || c == ';' })[0])
		}
	}
	return append(all, r.observeRequest(e, text, message, size)...)
}

// observeRequest checks what an observation says of the message beside the
// request, and of its size.
func (r *replay) observeRequest(e *event, text, message string, size int) []error {
	var all []error
	if strings.Contains(text, "letter case") && !strings.Contains(message, r.value(r.nameIn(e))) {
		all = append(all, errors.New("the message has not the name as it was sent"))
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
