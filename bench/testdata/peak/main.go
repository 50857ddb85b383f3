// Command peak runs a program and writes the most memory that it had, in KiB, to file
// descriptor 3. Linux counts what a process had in memory when it started another one
// in the peak of that one: of a benchmark that may be a hundred MiB, of peak it is less
// than any program that is measured has.
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
