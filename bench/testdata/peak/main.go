// Command peak runs a program and writes its peak memory, in KiB, to file descriptor 3. If
// a process starts another one, Linux counts the memory of the first in the peak of the
// second. A benchmark may have a hundred MiB. This program has less than any that it
// measures.
package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	log.SetFlags(0)
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		log.Fatalf("%s: %v", os.Args[1], err)
	}
	if _, err := fmt.Fprint(os.NewFile(3, "peak"), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss); err != nil {
		log.Fatal(err)
	}
}
