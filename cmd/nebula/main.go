// Command nebula keeps credentials, encrypted, on any of several backends.
package main

import (
	"os"

	"github.com/nebula-credential/nebula/internal/process"
)

func main() {
	os.Exit(run(process.Harden()))
}
