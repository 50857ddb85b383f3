package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// runOf stores credentials and returns the command that runs true, which does nothing, with
// all of them.
func (c command) runOf(b *testing.B, credentials int) []string {
	b.Helper()
	args := []string{c.nebula, "run"}
	for i := range credentials {
		id := fmt.Sprint("token_", i)
		c.run(b, value(), c.nebula, "put", id)
		args = append(args, "--env", fmt.Sprintf("TOKEN_%d=%s", i, id))
	}
	return append(args, "--", "true")
}

// BenchmarkCommandRunFiles compares nebula run from files with nebula get of one
// credential.
func BenchmarkCommandRunFiles(b *testing.B) {
	for _, credentials := range []int{1, 20} {
		b.Run(fmt.Sprint(credentials), func(b *testing.B) {
			c := newCommand(b)
			run := c.runOf(b, credentials)
			paired.Run(b, 1,
				func(int) { c.run(b, "", c.nebula, "get", "token_0") },
				func(int) { c.run(b, "", run...) })
			c.report(b, run...)
		})
	}
}

// BenchmarkCommandRunAWS compares nebula run with 20 credentials to a program that reads
// one secret with the SDK. The server has the interface of AWS and answers after 20 ms.
func BenchmarkCommandRunAWS(b *testing.B) {
	server, err := awsserver.New(awsserver.Options{})
	check(b, err)
	b.Cleanup(func() { _ = server.Close() })
	c := newCommand(b)
	bare := program(b, "awsget", ".", "./testdata/awsget")
	c.env = append(slices.DeleteFunc(c.env, func(v string) bool { return strings.HasPrefix(v, "AWS_") }),
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_REGION="+server.Region(), "AWS_ENDPOINT_URL_SECRETS_MANAGER="+server.URL(), "NEBULA_STORAGE_PROVIDER=aws")
	c.run(b, "", c.nebula, "init")
	run := c.runOf(b, 20)
	secret := server.Names()[0]
	server.ResetLog()
	defer server.Inject(awsserver.Fault{Delay: 20 * time.Millisecond})()
	starts := 0
	paired.Run(b, 1,
		func(int) { c.run(b, "", bare, secret) },
		func(int) { c.run(b, "", run...); starts++ })
	b.ReportMetric(float64(server.Count("")-starts)/float64(starts), "calls/op")
	c.report(b, run...)
}
