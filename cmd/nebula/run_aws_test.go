package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/awsserver"
)

// For twenty credentials on AWS, run makes two calls, for the keyring and for all
// records, both at the same time.
func TestRunReadsAtOnce(t *testing.T) {
	server, err := awsserver.New(awsserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	home := t.TempDir()
	nebula := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("nebula", args...)
		cmd.Dir = home
		cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), raceExit, "NEBULA_STORAGE_PROVIDER=aws",
			"AWS_REGION=" + server.Region(), "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + server.URL(), "AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
			"AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return string(out)
	}
	nebula("init")
	if err := os.WriteFile(filepath.Join(home, "value"), []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run"}
	for i := range 20 {
		id := fmt.Sprint("token_", i)
		nebula("put", id, "--file", "value")
		args = append(args, "--env", fmt.Sprintf("TOKEN_%d=%s", i, id))
	}
	server.ResetLog()
	const answer = 2 * time.Second // long enough for any machine
	defer server.Inject(awsserver.Fault{Delay: answer})()
	if got := nebula(append(args, "--", "sh", "-c", "echo $TOKEN_0 $TOKEN_19")...); got != "s3cret s3cret\n" {
		t.Errorf("the command got %q", got)
	}
	requests := server.Requests()
	if len(requests) != 2 {
		t.Fatalf("%d calls: %+v", len(requests), requests)
	}
	if apart := requests[1].Time.Sub(requests[0].Time).Abs(); apart >= answer {
		t.Errorf("the calls are %v apart", apart)
	}
}
