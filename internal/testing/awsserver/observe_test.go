package awsserver_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// observe checks what a recording states in words, if its shape does not state it.
func (w *world) observe(e *exchange, in map[string]any, got answer, first string) []string {
	var problems []string
	for _, text := range e.Observed {
		for _, o := range observations {
			if o.words.MatchString(text) {
				if problem := o.check(w, in, got, first); problem != "" {
					problems = append(problems, fmt.Sprintf("recorded %q, but %s: %s", text, problem, got.raw))
				}
			}
		}
	}
	if problem := w.sameValue(in, got); problem != "" {
		problems = append(problems, problem)
	}
	if changed, ok := got.body["LastChangedDate"].(float64); ok {
		w.seen = changed
	}
	return problems
}

// sameValue checks that a version has the value that was sent for it.
func (w *world) sameValue(in map[string]any, got answer) string {
	id, _ := got.body["VersionId"].(string)
	if in["SecretString"] != nil || in["SecretBinary"] != nil {
		w.values[id] = sentValue(in)
		return ""
	}
	value := sentValue(got.body)
	if sent, ok := w.values[id]; ok && value != sentValue(nil) && value != sent {
		return fmt.Sprintf("the value of version %s is %s, and %s was sent", id, value, sent)
	}
	return ""
}

type observation struct {
	words *regexp.Regexp
	check func(w *world, in map[string]any, got answer, first string) string
}

func when(words string, check func(w *world, in map[string]any, got answer, first string) string) observation {
	return observation{regexp.MustCompile(words), check}
}

var observations = []observation{
	when(`Content-Type application/x-amz-json-1\.1`, func(_ *world, _ map[string]any, got answer, _ string) string {
		if h := got.header.Get("Content-Type"); h != "application/x-amz-json-1.1" {
			return "it is " + h
		}
		return ""
	}),
	when(`x-amzn-RequestId`, func(_ *world, _ map[string]any, got answer, _ string) string {
		if got.header.Get("X-Amzn-Requestid") == "" {
			return "there is none"
		}
		return ""
	}),
	when(`VersionId equals the token`, func(_ *world, in map[string]any, got answer, _ string) string {
		if got.body["VersionId"] != in["ClientRequestToken"] {
			return "it does not"
		}
		return ""
	}),
	when(`sorted`, func(_ *world, _ map[string]any, got answer, _ string) string {
		var stages []string
		list, _ := got.body["VersionStages"].([]any)
		for _, s := range list {
			stages = append(stages, s.(string))
		}
		if len(stages) == 0 || !slices.IsSorted(stages) {
			return "they are not"
		}
		return ""
	}),
	when(`AWSCURRENT not moved`, func(w *world, in map[string]any, got answer, _ string) string {
		now := send(w.t, w.server, "DescribeSecret", map[string]any{"SecretId": in["SecretId"]})
		stages, _ := now.body["VersionIdsToStages"].(map[string]any)
		id, _ := got.body["VersionId"].(string)
		if len(stages) < 2 || has(stages[id], "AWSCURRENT") {
			return "it is on the new version"
		}
		return ""
	}),
	when(`DeletionDate is now`, func(w *world, _ map[string]any, got answer, _ string) string {
		if got.body["DeletionDate"] != float64(w.now.UnixMilli())/1000 {
			return "it is not"
		}
		return ""
	}),
	when(`DeletionDate in the future|scheduled with the default window`, func(w *world, _ map[string]any, got answer, _ string) string {
		date, _ := got.body["DeletionDate"].(float64)
		if days := (date - float64(w.now.Unix())) / 86400; days < 7 || days > 31 {
			return fmt.Sprintf("it is %.1f days away", days)
		}
		return ""
	}),
	when(`LastChangedDate moved`, func(w *world, _ map[string]any, got answer, _ string) string {
		if date, _ := got.body["LastChangedDate"].(float64); date <= w.changed {
			return "it did not"
		}
		return ""
	}),
	when(`exponent form`, func(_ *world, _ map[string]any, got answer, _ string) string {
		if !regexp.MustCompile(`Date":\d\.\d+E9\b`).MatchString(got.raw) {
			return "they are not"
		}
		return ""
	}),
	when(`differs from the secret's by ms`, func(w *world, in map[string]any, got answer, _ string) string {
		of, _ := send(w.t, w.server, "DescribeSecret", map[string]any{"SecretId": in["SecretId"]}).body["CreatedDate"].(float64)
		date, _ := got.body["CreatedDate"].(float64)
		if d := date - of; d <= 0 || d > 1 {
			return fmt.Sprintf("it does by %f s", d)
		}
		return ""
	}),
	when(`order not by name`, func(_ *world, _ map[string]any, got answer, _ string) string {
		var names []string
		list, _ := got.body["SecretList"].([]any)
		for _, item := range list {
			object, _ := item.(map[string]any)
			name, _ := object["Name"].(string)
			names = append(names, name)
		}
		if slices.IsSorted(names) {
			return "it is: " + strings.Join(names, " ")
		}
		return ""
	}),
	when(`same answers in a row`, func(_ *world, _ map[string]any, got answer, first string) string {
		if got.raw != first {
			return "they are not: " + first
		}
		return ""
	}),
}
