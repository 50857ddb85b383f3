//go:build unix

package main

import "os"

func openConsole() (*console, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &console{in: f, out: f}, nil
}
