package prometheus_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"strings"

	"github.com/nebula-credential/nebula"
)

// use acts as a client of the example: it logs in, and reads the metrics.
func use(ctx context.Context, store *nebula.Store, address string) {
	if _, err := store.Put(ctx, "api_token", nebula.NewSecret([]byte("t0ken")), nebula.PutOptions{}); err != nil {
		log.Fatal(err)
	}
	show(address+"/login", "logged in")
	show(address+"/metrics", `nebula_storage_operation_duration_seconds_count{operation="store"`)
}

// show prints the lines of an answer that begin with the prefix.
func show(url, prefix string) {
	answer, err := http.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), prefix) {
			fmt.Println(lines.Text())
		}
	}
}
