package local

import (
	"context"
	"fmt"
)

// Identity implements [nebula.Identifier]: device and inode of the directory,
// which is the same behind every link and mount, and the extension.
func (d *driver) Identity(context.Context) (string, error) {
	b, err := d.bases.forReading(true)
	if isMissing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("device %d, inode %d, %s", b.id.Device, b.id.Inode, d.naming.suffix), nil
}
