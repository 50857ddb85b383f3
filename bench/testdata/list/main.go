// Command list lists the ids in a directory with the library, and prints how many
// there are.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/local"
)

func main() {
	ctx := context.Background()
	config := local.DefaultConfig()
	config.BasePath = os.Args[1]
	p, err := local.New(config)
	if err != nil {
		log.Fatal(err)
	}
	s, err := nebula.Open(ctx, p, nebula.Options{})
	if err != nil {
		log.Fatal(err)
	}
	count := 0
	for _, err := range s.List(ctx, nebula.ListOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		count++
	}
	fmt.Println(count)
}
