package atomicfile

import "os"

func TooWide(info os.FileInfo, group bool) string { return "" }
func Create(path string, data []byte) error       { return nil }
