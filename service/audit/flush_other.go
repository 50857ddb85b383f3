//go:build !linux

package audit

func (o *output) flushData() error { return o.file.Sync() }
