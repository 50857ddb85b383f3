package bench

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

const (
	manyCredentials = 200
	manyAnswer      = 20 * time.Millisecond // how long the server takes to answer
)

// BenchmarkCommandMany compares tag, delete, restore and purge of 200 credentials, several
// at once, with the same one after the other. The server has the interface of AWS and
// answers after 20 ms. For each verb it reports how many times as fast the command is.
func BenchmarkCommandMany(b *testing.B) {
	server, err := awsserver.New(awsserver.Options{ForcedDeletion: time.Millisecond})
	check(b, err)
	b.Cleanup(func() { _ = server.Close() })
	many := newCommand(b)
	many.env = append(slices.DeleteFunc(many.env, func(v string) bool { return strings.HasPrefix(v, "AWS_") }),
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"NEBULA_STORAGE_PROVIDER=aws", "NEBULA_STORAGE_AWS_REGION="+server.Region(), "NEBULA_STORAGE_AWS_ENDPOINT_URL="+server.URL())
	one := many
	one.env = append(slices.Clone(many.env), "NEBULA_STORAGE_MAX_CONCURRENCY=1")
	many.run(b, "", many.nebula, "init")

	times := make(map[string][]float64)
	for b.Loop() {
		onebyone, together := one.manyVerbs(b, server), many.manyVerbs(b, server)
		for verb, took := range onebyone {
			times[verb] = append(times[verb], float64(took)/float64(together[verb]))
		}
	}
	b.ReportMetric(0, "ns/op") // the time of both together is of no use
	for verb, ratios := range times {
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], verb+"-times")
	}
}

// manyVerbs stores credentials and returns how long each verb took for them.
func (c command) manyVerbs(b *testing.B, server *awsserver.Server) map[string]time.Duration {
	var ids []string
	for i := range manyCredentials {
		ids = append(ids, fmt.Sprintf("token_%03d", i))
		c.run(b, value(), c.nebula, "put", ids[i])
	}
	defer server.Inject(awsserver.Fault{Delay: manyAnswer})()
	took := make(map[string]time.Duration)
	for _, args := range [][]string{{"tag", "--all", "env=prod"}, append([]string{"delete"}, ids...), append([]string{"restore"}, ids...),
		append([]string{"purge", "--yes"}, ids...)} {
		cmd := exec.Command(c.nebula, args...)
		cmd.Env = c.env
		begun := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), fmt.Sprint(manyCredentials)) {
			b.Fatalf("%s: %v: %s", args[0], err, out)
		}
		took[args[0]] = time.Since(begun)
	}
	return took
}
