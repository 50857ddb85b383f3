package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// assign sets v to raw, which comes from TOML or from a variable (then it is a
// string). It returns "", or, if raw is not allowed, a description of what is
// allowed.
func assign(v reflect.Value, raw any, isText bool) (allowed string) {
	if isText && v.Kind() != reflect.String {
		raw = parseText(v, raw.(string))
	}
	switch {
	case v.Type() == durationType():
		return assignDuration(v, raw)
	case v.Kind() == reflect.String:
		s, ok := raw.(string)
		if !ok {
			return "must be a string in quotes"
		}
		v.SetString(s)
	case v.Kind() == reflect.Bool:
		b, ok := raw.(bool)
		if !ok {
			return "must be true or false"
		}
		v.SetBool(b)
	case v.CanInt(), v.CanUint():
		return assignInteger(v, raw)
	case v.CanFloat():
		return assignFloat(v, raw)
	case v.Kind() == reflect.Slice:
		return assignList(v, raw)
	case v.Kind() == reflect.Map:
		return assignMap(v, raw)
	}
	return ""
}

func assignDuration(v reflect.Value, raw any) string {
	s, ok := raw.(string)
	d, err := time.ParseDuration(s)
	if !ok || err != nil {
		return `must be a duration, such as "5s" or "1h30m"`
	}
	v.SetInt(int64(d))
	return ""
}

func assignInteger(v reflect.Value, raw any) string {
	n, ok := raw.(int64)
	switch {
	case !ok:
		return "must be a whole number"
	case v.CanInt() && !v.OverflowInt(n):
		v.SetInt(n)
	case v.CanUint() && n >= 0 && !v.OverflowUint(uint64(n)):
		v.SetUint(uint64(n))
	case v.CanUint() && n < 0:
		return "must not be negative"
	default:
		return "is out of range"
	}
	return ""
}

func assignFloat(v reflect.Value, raw any) string {
	switch n := raw.(type) {
	case float64:
		if !math.IsNaN(n) && !math.IsInf(n, 0) {
			v.SetFloat(n)
			return ""
		}
	case int64:
		v.SetFloat(float64(n))
		return ""
	}
	return "must be a number"
}

func assignList(v reflect.Value, raw any) string {
	const allowed = `must be a list of strings, such as ["a", "b"]`
	items, ok := raw.([]any)
	if !ok {
		return allowed
	}
	list := make([]string, 0, len(items))
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			return allowed
		}
		list = append(list, s)
	}
	v.Set(reflect.ValueOf(list))
	return ""
}

func assignMap(v reflect.Value, raw any) string {
	const allowed = `must be a table of strings, such as { team = "web" }`
	table, ok := raw.(map[string]any)
	if !ok {
		return allowed
	}
	m := make(map[string]string, len(table))
	for key, value := range table {
		s, ok := value.(string)
		if !ok {
			return allowed
		}
		m[key] = s
	}
	v.Set(reflect.ValueOf(m))
	return ""
}

// parseText converts the text of a variable to the type that TOML would have
// given it, if it can.
func parseText(v reflect.Value, text string) any {
	switch {
	case v.Type() == durationType():
	case v.Kind() == reflect.Bool:
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	case v.CanInt(), v.CanUint():
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	case v.CanFloat():
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	case v.Kind() == reflect.Slice:
		list := []any{}
		if text == "" {
			return list
		}
		for item := range strings.SplitSeq(text, ",") {
			list = append(list, strings.TrimSpace(item))
		}
		return list
	case v.Kind() == reflect.Map:
		table := make(map[string]any)
		for item := range strings.SplitSeq(text, ",") {
			key, value, ok := strings.Cut(item, "=")
			if !ok {
				return text
			}
			table[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		return table
	}
	return text
}

// display returns a wrong value for a message: quoted, since it may hold
// anything, and shortened.
func display(raw any) string {
	const maxShown = 60
	var text string
	switch raw := raw.(type) {
	case string:
		if LooksLikeKey(raw) {
			return hidden
		}
		text = strconv.Quote(raw)
	case map[string]any:
		return "a table"
	case []any:
		return "a list"
	default:
		text = fmt.Sprint(raw)
	}
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}
