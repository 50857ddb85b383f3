//go:build linux || darwin

package bench

import (
	"slices"
	"testing"

	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// BenchmarkCommandGetByAWSKMS compares nebula get from files with a key of KMS, on a server
// of this machine, to the same with a key file, and counts the calls.
func BenchmarkCommandGetByAWSKMS(b *testing.B) {
	s, err := awsserver.NewKMS()
	check(b, err)
	b.Cleanup(func() { _ = s.Close() })
	byFile := newCommand(b)
	byFile.run(b, value(), byFile.nebula, "put", "x")
	byKMS := byFile
	byKMS.env = append(slices.Clone(byFile.env), "AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_KMS="+s.URL(), "AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true", "NEBULA_STORAGE_LOCAL_BASE_PATH="+b.TempDir()+"/store",
		"NEBULA_KEY_AWS_KMS_KEY="+s.CreateKey("us-east-1"), "XDG_CONFIG_HOME="+b.TempDir())
	byKMS.run(b, "", byKMS.nebula, "init")
	byKMS.run(b, value(), byKMS.nebula, "put", "x")
	s.ResetLog()
	starts := 0
	paired.Run(b, 1,
		func(int) { byFile.run(b, "", byFile.nebula, "get", "x") },
		func(int) { byKMS.run(b, "", byKMS.nebula, "get", "x"); starts++ })
	b.ReportMetric(float64(s.Count(""))/float64(starts), "calls/op")
	byKMS.report(b, byKMS.nebula, "get", "x")
}
