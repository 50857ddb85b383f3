//go:build !unix

package config

import "os"

// writableByOthers finds nothing: the file's access list is not looked at.
func writableByOthers(string, os.FileInfo) (problem, fix string) { return "", "" }

// readableByOthers finds nothing: the file's access list is not looked at.
func readableByOthers(os.FileInfo) string { return "" }
