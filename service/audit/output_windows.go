package audit

import "os"

const noFollow = 0

func (o *output) writeOnce(p []byte) (int, error) { return o.file.Write(p) }

func links(os.FileInfo) uint64 { return 1 }
