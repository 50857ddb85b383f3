//go:build unix && !linux

package service_test

import "testing"

// asNobody: only Linux changes the user of a single thread.
func asNobody(*testing.T, string, string) string { return "" }
